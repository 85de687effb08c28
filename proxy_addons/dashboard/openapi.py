"""The API's document (OpenAPI 3.1), made of the table of operations."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from proxy_addons.dashboard import schema
from proxy_addons.dashboard.operation import ROOT, Operation, Who

_ABOUT = """The operations of the page at https://stores.DOMAIN, for programs. On this machine only. A program sends
`Authorization: Bearer TOKEN` (`stores open --token` prints it); a browser gets a cookie for a one-time ticket
(`stores open`). Docs: docs/http-api.md."""

PROBLEM = schema.record(
    "What is wrong, and what to type (RFC 9457).",
    optional=("hint",),
    title=schema.text(),
    status=schema.whole(),
    detail=schema.text(),
    hint=schema.text("What to type."),
)

_SAID_BY_ALL = {400: "An argument is wrong; `detail` says which.", 403: "Another site's page, or another user."}
_SAID_TO_STRANGERS = {401: "Not signed in, or no longer; `hint` says what to type."}
_SECURITY = {
    Who.ANYBODY: [{}],
    Who.SIGNED_IN: [{"token": []}, {"cookie": []}],
    Who.PROGRAM: [{"token": []}],
}


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """As JSON can hold it."""
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(ROOT + operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "stores", "version": "1", "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": {"Problem": PROBLEM},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "stores-…",
                    "description": "Set by `POST /session`. Its name ends in digits of the workspace's own.",
                },
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    names = re.findall(r"{(\w+)}", operation.path)
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    parameters += [
        {"name": name, "in": "query", "required": False, "schema": one, **_style(one)}
        for name, one in operation.query.items()
    ]
    said: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.about,
        "tags": [operation.group],
        "security": _SECURITY[operation.who],
        "responses": _responses(operation),
    }
    if parameters:
        said["parameters"] = parameters
    if operation.takes is not None:
        said["requestBody"] = {"required": True, "content": {"application/json": {"schema": operation.takes}}}
    return said


def _style(one: schema.Schema) -> dict[str, Any]:
    return {"style": "form", "explode": False} if one.get("type") == "array" else {}


def _responses(operation: Operation) -> dict[str, Any]:
    refused = _SAID_BY_ALL | ({} if operation.who is Who.ANYBODY else _SAID_TO_STRANGERS) | dict(operation.refuses)
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return _success(operation) | {
        str(status): {"description": about, "content": problem} for status, about in sorted(refused.items())
    }


def _success(operation: Operation) -> dict[str, Any]:
    if operation.streams:
        content = {"text/event-stream": {"schema": operation.gives or {"type": "string"}}}
        return {"200": {"description": "Server-sent events.", "content": content}}
    if operation.gives is None:
        return {"204": {"description": "Done."}}
    return {"200": {"description": "As said.", "content": {"application/json": {"schema": operation.gives}}}}
