"""Finds a request's operation, holds request and table together, and turns what went wrong into a problem document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from procman.errors import StoresError
from proxy_addons.dashboard import schema
from proxy_addons.dashboard.guard import Guard
from proxy_addons.dashboard.message import Request, Response, as_json
from proxy_addons.dashboard.operation import ROOT, Operation
from proxy_addons.events.refusal import RefusalError


class Api:
    """All operations."""

    def __init__(self, guard: Guard, operations: Iterable[Operation]) -> None:
        self._guard = guard
        self.operations = tuple(operations)
        self._patterns = [
            (re.compile(ROOT + re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", one.path)), one) for one in self.operations
        ]

    async def answer(self, request: Request) -> Response:
        """What comes of it. Raises `RefusalError`."""
        operation = self._find(request)
        self._guard.check(request, operation.who)
        _read(request, operation)
        try:
            told = await operation.answer(request)
        except StoresError as error:
            raise RefusalError(409, error.message, hint=error.hint) from error
        if isinstance(told, Response):
            return told
        return Response(204) if operation.gives is None else as_json(told)

    def _find(self, request: Request) -> Operation:
        method = "GET" if request.method == "HEAD" else request.method
        allowed = []
        for pattern, operation in self._patterns:
            match = pattern.fullmatch(request.path)
            if match and operation.method == method:
                request.values = dict(match.groupdict())
                return operation
            if match:
                allowed.append(operation.method)
        if allowed:
            listed = ", ".join(sorted(set(allowed)))
            raise RefusalError(405, f"{request.path} takes {listed}", {"Allow": listed})
        raise RefusalError(404, f"There is nothing at {request.path}", hint=f"What there is: {ROOT}/openapi.json")


def _read(request: Request, operation: Operation) -> None:
    """The values of query and body, checked by what the table says of them."""
    try:
        for name, written in request.query.items():
            known = operation.query.get(name)
            if known is None:
                there_is = ", ".join(operation.query) or "none"
                raise ValueError(f"{name}: there is no such parameter here; there is: {there_is}")  # noqa: TRY301 - converted here, as all
            request.values[name] = schema.parsed(known, written, name)
        if operation.takes is not None:
            request.values |= _body(request, operation.takes)
    except ValueError as error:
        raise RefusalError(400, str(error)) from error


def _body(request: Request, takes: schema.Schema) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # which a form on another site's page cannot send
        raise RefusalError(415, "The body has to be application/json")
    try:
        value = json.loads(request.body)
    except ValueError as error:
        raise ValueError(f"the body is no JSON: {error}") from error
    schema.check(takes, value)
    assert isinstance(value, dict)
    return value
