"""The remote's API gateway, whose authorizer is a real one: account must know the caller's token."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from common.app import App
from common.message import Request, Response, problem
from common.siblings import SESSION

HOST = "api-gateway"
ROUTES = ("organization", "reserve")
#: What members of an organization may do with the API of organizations; others have an account and no more.
SCOPES = "org:read"


class ApiGateway:
    """``/organization/…`` is organization's; the caller's token is a session that account gave him."""

    def __init__(self, apps: Mapping[str, App]) -> None:
        self._apps = apps

    def __call__(self, request: Request) -> Response:
        name, _, rest = request.target.removeprefix("/").partition("/")
        if name not in ROUTES:
            routes = [f"/{route}" for route in ROUTES]
            return problem(HTTPStatus.NOT_FOUND, f"The remote API gateway has no route /{name}.", routes=routes)
        user = self._user(request)
        if user is None:
            answer = problem(HTTPStatus.UNAUTHORIZED, "The remote's authorizer does not know the caller's token.")
            return answer.with_header("WWW-Authenticate", 'Bearer realm="remote"')
        headers = copy.copy(request.headers)
        headers["X-User-Id"] = user["login"]
        headers["X-User-Scopes"] = SCOPES if user["organization"] else ""
        return self._apps[name](Request(request.method, f"/{rest}", headers, request.body, request.secure))

    def _user(self, request: Request) -> dict[str, Any] | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        headers = copy.copy(request.headers)
        del headers["Cookie"], headers["Origin"]
        headers["Cookie"] = f"{SESSION}={quote(token.strip())}"
        answer = self._apps["account"](Request("GET", "/api/me", headers, b"", request.secure))
        user: dict[str, Any] | None = json.loads(bytes(answer.body))["user"] if isinstance(answer.body, bytes) else None
        return user
