"""What is answered to bytes that are no proper request, and by nobody else: a line for whoever debugs a client."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from proxy_addons.front import policy
from proxy_addons.front.exchange import Field, Response

_TEXTS: Final = {
    400: "This is no proper HTTP request.",
    408: "The request did not come to its end in time.",
    431: "The request's head is longer than 64 KiB.",
    502: "The gateway could not answer. Its log says why: stores logs gateway",
}


def response(status: int) -> tuple[Response, bytes]:
    """The answer's head and its body."""
    body = f"{_TEXTS[status]}\n".encode()
    fields: list[Field] = [
        (b"Content-Type", b"text/plain; charset=utf-8"),
        (b"Cache-Control", b"no-store"),
        (b"Content-Length", b"%d" % len(body)),
        (policy.ROUTE, b"fallback"),
    ]
    return Response(status, HTTPStatus(status).phrase.encode(), fields, len(body)), body


def http1(status: int) -> bytes:
    """The whole answer, the last one on its connection."""
    head, body = response(status)
    return policy.answer_head(head, framed=True) + b"Connection: close\r\n\r\n" + body
