"""The head of a gRPC call in HTTP/2's form, and of its answer in ours."""

from __future__ import annotations

from typing import Any, Final

from proxy_addons.front import policy
from proxy_addons.front.exchange import CHUNKED, Field, Request, Response

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
    """The head of a service's answer, with what a local answer of ours says."""
    came = plain(headers)
    status = int(next((value for name, value in came if name == b":status"), b"502"))
    kept = policy.clean([field for field in came if not field[0].startswith(b":")], forged=True)
    return Response(status, b"", [*kept, (policy.ROUTE, b"local")], CHUNKED)


def plain(headers: Any) -> list[Field]:
    """The fields as they came, in bytes."""
    return [(bytes(name), bytes(value)) for name, value in headers or ()]
