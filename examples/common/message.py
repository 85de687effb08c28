"""A request as it came in, a response as it goes out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email.message import Message
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from common.connection import Connection


class HttpError(Exception):
    """Ends a request with this status. `message` is for people; `extra` goes into the problem document for programs."""

    def __init__(self, status: int, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.extra = extra


@dataclass
class Request:
    method: str
    target: str
    headers: Message
    body: bytes = b""
    secure: bool = False  # whether this very connection is TLS; behind a gateway, X-Forwarded-Proto knows better

    @cached_property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @cached_property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))

    @cached_property
    def cookies(self) -> dict[str, str]:
        # Not http.cookies: it drops every cookie after one that it finds strange, and siblings set cookies here too.
        pairs = "; ".join(self.headers.get_all("Cookie", [])).split(";")
        return {name.strip(): unquote(value.strip()) for name, _, value in (pair.partition("=") for pair in pairs)}

    # The service listens on loopback only and the gateway removes what a client sent under these two names, so they can
    # be believed. A real service would have a setting for that.
    @cached_property
    def host(self) -> str:
        """The host that the browser asked for, with its port when that is not the scheme's own."""
        return self._first("X-Forwarded-Host") or self.headers.get("Host", "")

    @cached_property
    def scheme(self) -> str:
        return self._first("X-Forwarded-Proto") or ("https" if self.secure else "http")

    @cached_property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}"

    def _first(self, name: str) -> str:
        return self.headers.get(name, "").partition(",")[0].strip().lower()

    @cached_property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    @cached_property
    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise HttpError(HTTPStatus.BAD_REQUEST, f"The body is not JSON: {error}") from error

    @property
    def wants_json(self) -> bool:
        """Whether a program asks: it named JSON and not HTML, or calls the API."""
        accept = self.headers.get("Accept", "")
        return self.path.startswith("/api/") or ("json" in accept and "text/html" not in accept)


@dataclass
class Response:
    """`body` is sent as it is, or, when it is an iterable, chunk by chunk as it comes."""

    body: bytes | Iterable[bytes] = b""
    status: int = HTTPStatus.OK
    content_type: str = "text/html; charset=utf-8"
    headers: list[tuple[str, str]] = field(default_factory=list)

    def with_header(self, name: str, value: str) -> Response:
        self.headers.append((name, value))
        return self

    def with_cookie(self, request: Request, name: str, value: str, *, domain: str = "", days: float = 30) -> Response:
        """Sets a cookie that no script reads and no other site sends along; `days=0` removes it."""
        parts = [f"{name}={quote(value)}", "Path=/", f"Max-Age={int(days * 86400)}", "HttpOnly", "SameSite=Lax"]
        parts += [f"Domain={domain}"] if domain else []
        parts += ["Secure"] if request.scheme == "https" else []
        return self.with_header("Set-Cookie", "; ".join(parts))


@dataclass
class Upgrade(Response):
    """A 101: from then on the connection belongs to `run`, which returns when it is over."""

    run: Callable[[Connection], None] = lambda _: None
    status: int = HTTPStatus.SWITCHING_PROTOCOLS
    content_type: str = ""


def redirect(location: str) -> Response:
    """303: whatever the method was, the browser goes on with a GET."""
    return Response(status=HTTPStatus.SEE_OTHER, headers=[("Location", location), ("Cache-Control", "no-store")])


def json_response(data: Any, status: int = HTTPStatus.OK) -> Response:
    body = json.dumps(data, ensure_ascii=False, indent=2).encode() + b"\n"
    return Response(body, status, "application/json", [("Cache-Control", "no-store")])


def problem(status: int, detail: str, **extra: Any) -> Response:
    """An error for programs, as RFC 9457 has it."""
    response = json_response(
        {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": int(status), "detail": detail, **extra},
        status,
    )
    response.content_type = "application/problem+json"
    return response
