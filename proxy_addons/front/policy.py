"""What a head loses and gains on its way through: the same as on mitmproxy's way, where the addons do it.

`hop_by_hop`, `forwarded`, `loop_guard` and `route_header` are those addons; `tests/test_front_differential.py` holds
both ways together.
"""

from __future__ import annotations

from typing import Final

from proxy_addons import forwarded, hop_by_hop, loop_guard
from proxy_addons.front.exchange import CHUNKED, Field, Request, Response
from proxy_addons.route_header import HEADER
from proxy_addons.site import Site

ROUTE: Final = HEADER.encode()
ROUTE_LINE: Final = ROUTE + b": local\r\n"
_HOPS: Final = loop_guard.HEADER.encode()
_HOPS_KEY: Final = _HOPS.lower()

_HOP_BY_HOP: Final = frozenset(name.encode() for name in hop_by_hop.FIELDS)
_CLAIMS: Final = frozenset(name.encode() for name in forwarded.CLAIMS)
_REPLACED: Final = _CLAIMS | {b"x-forwarded-for", b"forwarded", _HOPS_KEY}
#: Not the peer's to switch off by naming them in Connection.
_KEPT: Final = frozenset((b"transfer-encoding", b"content-length", b"host"))
#: A request or an answer without any of these can go on as it is.
MANAGED: Final = _HOP_BY_HOP | _REPLACED | {name.encode() for name in hop_by_hop.PROXY_FIELDS}
MANAGED_ANSWER: Final = _HOP_BY_HOP | {ROUTE.lower()}
_OF_MITMPROXY: Final = _HOP_BY_HOP | {b"transfer-encoding"}
_OF_SERVICES: Final = MANAGED_ANSWER | {b"transfer-encoding"}
#: What Connection says of nothing but the connection itself.
PERSISTENCE: Final = frozenset((b"close", b"keep-alive"))
_CONNECTION: Final = len(b"connection")
_CHUNKED_LINE: Final = b"Transfer-Encoding: chunked\r\n"


class LoopError(ValueError):
    """A request that went through a gateway too often."""


class Told:
    """What a service is told about a client at `address` that asked for `site`: made once, used for each request."""

    __slots__ = ("_address", "_element", "_site", "tail")

    def __init__(self, address: str, site: Site) -> None:
        self._address = address.encode()
        self._element = forwarded.element(address, site).encode()
        lines = (f"X-Forwarded-Proto: {site.scheme}", f"X-Forwarded-Host: {site.authority}")
        self._site = "\r\n".join((*lines, f"X-Forwarded-Port: {site.port}")).encode()
        #: For a request that claims nothing itself; the head's last line included.
        self.tail = self._lines(1, [], [])

    def _lines(self, hops: int, addresses: list[bytes], elements: list[bytes]) -> bytes:
        chain, path = b", ".join([*addresses, self._address]), b", ".join([*elements, self._element])
        hop = b"%b: %d" % (_HOPS, hops)
        return b"%b\r\nX-Forwarded-For: %b\r\n%b\r\nForwarded: %b\r\n\r\n" % (hop, chain, self._site, path)

    def head(self, request: Request) -> bytes:
        """The request's head as the service gets it. Raises `LoopError`."""
        if request.raw and not request.managed:
            return request.raw[:-2] + self.tail
        head, managed = _divided(request)
        if not managed:
            return head + self.tail
        hops = loop_guard.count([value.decode("latin-1") for value in managed.get(_HOPS_KEY, [])]) + 1
        if hops > loop_guard.MOST_HOPS:
            raise LoopError
        return head + self._lines(hops, managed.get(b"x-forwarded-for", []), managed.get(b"forwarded", []))


def _divided(request: Request) -> tuple[bytes, dict[bytes, list[bytes]]]:
    """The head without its managed fields, those that Connection names and the last line; the values of the managed."""
    lines = [b"%b %b HTTP/1.1" % (request.method, request.target)]
    managed: dict[bytes, list[bytes]] = {}
    named = _named(request.fields)
    for name, value in request.fields:
        key = name.lower()
        if key in MANAGED:
            managed.setdefault(key, []).append(value)
        elif key not in named:
            lines.append(name + b": " + value)
    if request.upgrade:
        lines.append(b"Connection: Upgrade\r\nUpgrade: " + request.upgrade)
    if request.length == CHUNKED and not request.framed:
        lines.append(b"Transfer-Encoding: chunked")
    lines.append(b"")
    return b"\r\n".join(lines), managed


def head_for_mitmproxy(request: Request) -> bytes:
    """The head as its client sent it, for the addons to see; but in HTTP/1.1, on a connection that is kept."""
    if request.raw and not request.managed:
        return request.raw
    lines = [b"%b %b HTTP/1.1" % (request.method, request.target)]
    for name, value in request.fields:
        if name.lower() != b"connection":
            lines.append(name + b": " + value)
        elif kept := [token for token in value.split(b",") if token.strip().lower() not in PERSISTENCE]:
            lines.append(name + b": " + b",".join(kept))
    if request.length == CHUNKED and not request.framed:
        lines.append(b"Transfer-Encoding: chunked")
    return b"\r\n".join([*lines, b"", b""])


def without_body(request: Request) -> Request:
    """The same request as a question for a page: nobody reads its body."""
    about = (b"content-length", b"transfer-encoding", b"expect", b"trailer")
    fields = [field for field in request.fields if field[0].lower() not in about]
    bare = Request(request.client, request.method, request.target, fields, request.host)
    bare.version, bare.upgrade = request.version, request.upgrade
    return bare


def examine(request: Request) -> None:
    """Notes whether `request` holds what is managed, for who made it without `request_head.RequestReader`."""
    request.managed = not MANAGED.isdisjoint([name.lower() for name, _ in request.fields])


def clean(fields: list[Field], *, forged: bool) -> list[Field]:
    """An answer's fields without the hop-by-hop ones, Transfer-Encoding and, where it can only be `forged`, a route."""
    dropped, named = (_OF_SERVICES if forged else _OF_MITMPROXY), _named(fields)
    return [field for field in fields if (key := field[0].lower()) not in dropped and key not in named]


def answer_head(response: Response, *, framed: bool) -> bytes:
    """The answer's head for an HTTP/1.1 client, without its last line. `framed`: a chunked body comes as chunks."""
    lines = [b"HTTP/1.1 %d %b" % (response.status, response.reason)]
    lines += [name + b": " + value for name, value in response.fields]
    head = b"\r\n".join([*lines, b""])
    return head + _CHUNKED_LINE if framed and response.chunked else head


def _named(fields: list[Field]) -> set[bytes]:
    values = [value for name, value in fields if len(name) == _CONNECTION and name.lower() == b"connection"]
    return {name.strip().lower() for value in values for name in value.split(b",")} - _KEPT


def upgrade_fields(protocol: bytes) -> list[Field]:
    """What an answer that changes the protocol keeps of the hop-by-hop fields."""
    return [(b"Connection", b"Upgrade"), (b"Upgrade", protocol)]


def tunnelled(status: int, method: bytes) -> bool:
    """Whether after this answer the connection speaks another protocol (RFC 9110, sections 9.3.6 and 15.2.2)."""
    return status == 101 or (method == b"CONNECT" and 200 <= status < 300)  # noqa: PLR2004 - 101 and 2xx
