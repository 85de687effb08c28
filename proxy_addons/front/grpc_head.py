"""The head of a gRPC call in HTTP/2's form, and of its answer in ours."""

from __future__ import annotations

import re
from typing import Any, Final

from proxy_addons.front import policy
from proxy_addons.front.exchange import CHUNKED, Field, Request, Response

_STATUS: Final = re.compile(rb"[1-9][0-9]{2}")
#: HTTP/1.1's alone (RFC 9113, section 8.6).
_SWITCHING: Final = 101
#: What a head in HTTP/1.1 has and one in HTTP/2 must not (RFC 9113, section 8.2.2), or has in another form.
_NOT_HERE: Final = frozenset((b"host", b"connection", b"transfer-encoding", b"te", b"upgrade", b"keep-alive"))


def fields(request: Request, head: bytes) -> list[Field]:
    """The head of an HTTP/1.1 request in HTTP/2's form. `te`: gRPC servers look for it, as a sign of a good proxy."""
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:] if line]
    lower = [(name.lower(), value.strip()) for name, _, value in lines]
    authority = next((value for name, value in lower if name == b"host"), b"")
    pseudo = [
        (b":method", request.method),
        (b":scheme", b"http"),
        (b":authority", authority),
        (b":path", request.target),
    ]
    return [*pseudo, *(field for field in lower if field[0] not in _NOT_HERE), (b"te", b"trailers")]


def response(headers: Any) -> Response:
    """The head of a service's answer, with what a local answer of ours says.

    Raises ``ValueError`` where it has no status, or one that HTTP/2 does not have.
    """
    came = plain(headers)
    said = next((value for name, value in came if name == b":status"), b"")
    status = int(said) if _STATUS.fullmatch(said) else 0
    if not status or status == _SWITCHING:
        raise ValueError(f"{said!r} is no status")
    kept = policy.clean([field for field in came if not field[0].startswith(b":")], forged=True)
    return Response(status, b"", [*kept, (policy.ROUTE, b"local")], CHUNKED)


def plain(headers: Any) -> list[Field]:
    """The fields as they came, in bytes."""
    return [(bytes(name), bytes(value)) for name, value in headers or ()]
