"""Reads an HTTP/1 answer's head."""

from __future__ import annotations

from typing import Final

import httptools

from proxy_addons.front import policy
from proxy_addons.front.exchange import TUNNEL, UNTIL_CLOSE, Field, Response
from proxy_addons.front.heads import LINES_BESIDE_FIELDS, VERSIONS, chunked, without

_OTHER, _LENGTH, _ENCODING, _CONNECTION, _UPGRADE, _ROUTE, _KEEP_ALIVE = range(7)
_KINDS: Final = {
    **dict.fromkeys(policy.MANAGED_ANSWER, _OTHER),
    policy.ROUTE.lower(): _ROUTE,
    b"keep-alive": _KEEP_ALIVE,
    b"content-length": _LENGTH,
    b"transfer-encoding": _ENCODING,
    b"connection": _CONNECTION,
    b"upgrade": _UPGRADE,
}
_FIRST, _SWITCHING, _FIRST_FINAL = 100, 101, 200
#: No Content, Not Modified (RFC 9110, section 6.4.1).
_EMPTY: Final = frozenset((204, 304))
_VERSION, _REASON = len("HTTP/1.1"), len("HTTP/1.1 200 ")
_ROUTE_FIELD: Final = (policy.ROUTE, b"local")


class ResponseReader:
    """Reads the answers of one upstream's connection, one after the other."""

    __slots__ = ("_fields", "_local", "_parser", "_protocol", "keeps")

    def __init__(self, *, local: bool) -> None:
        """`local`: a service's answers, which get their route here; those of mitmproxy have it."""
        self._fields: list[Field] = []
        self._local = local
        self._parser = httptools.HttpResponseParser(self)
        self._protocol = b""
        #: Whether the upstream keeps the connection after the answer that was read last.
        self.keeps = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by llhttp's binding."""
        self._fields.append((name, value))

    def read(self, head: bytes, method: bytes) -> Response:
        """One head, its empty line included, for a request with `method`. Raises ``ValueError``."""
        fields: list[Field] = []
        self._fields = fields
        try:
            self._parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            pass  # the last that this parser reads
        except httptools.HttpParserError as error:
            raise ValueError(str(error)) from error
        if head.count(b"\r\n") != len(fields) + LINES_BESIDE_FIELDS:
            raise ValueError("not every line is a field")
        version, status = head[:_VERSION], self._parser.get_status_code()
        if version not in VERSIONS:
            raise ValueError("the answer is in another version of HTTP than the request")
        if status < _FIRST:  # llhttp takes 000 to 099, HPACK and clients do not
            raise ValueError(f"{status:03} is no status")
        response = Response(status, head[_REASON : head.index(b"\r\n")], fields, UNTIL_CLOSE)
        left = self._examine(response, version, head)
        if status < _FIRST_FINAL or status in _EMPTY or method == b"HEAD":
            response.length = 0
        if policy.tunnelled(status, method):
            response.length, self.keeps = TUNNEL, False
        elif response.length or method == b"HEAD":
            self._parser = httptools.HttpResponseParser(self)  # the old one waits for the body
        self._finish(response, left)
        return response

    def _examine(self, response: Response, version: bytes, head: bytes) -> bytes:  # noqa: C901, PLR0912 - as for requests
        """Sets what the fields say; returns what can be sent on of the head as it stands, or b""."""
        managed, connection = version == b"HTTP/1.0", b""
        plain: list[Field] = []
        for name, value in response.fields:
            kind = _KINDS.get(name.lower())
            if kind is None:
                continue
            if kind == _LENGTH:
                response.length = int(value)
            elif kind == _ENCODING:
                response.length = chunked(value)
                response.chunked = True
            elif kind == _ROUTE:
                managed = managed or self._local
            elif kind == _KEEP_ALIVE:
                plain.append((name, value))
            elif kind == _CONNECTION and value.lower() in policy.PERSISTENCE:
                connection += b"," + value.lower()
                plain.append((name, value))
            else:
                managed = True
                if kind == _CONNECTION:
                    connection += b"," + value.lower()
                elif kind == _UPGRADE:
                    self._protocol = value
        if not connection:
            self.keeps = version == b"HTTP/1.1"
        else:
            tokens = {token.strip() for token in connection.split(b",")}
            self.keeps = b"close" not in tokens and (version == b"HTTP/1.1" or b"keep-alive" in tokens)
        if managed or not plain:
            return b"" if managed else head
        left = without(head, plain)
        if left:
            for field in plain:
                response.fields.remove(field)
        return left

    def _finish(self, response: Response, head: bytes) -> None:
        route = self._local and (response.status >= _FIRST_FINAL or response.tunnel)
        if not head:
            response.fields = policy.clean(response.fields, forged=self._local)
            if response.status == _SWITCHING:
                response.fields += policy.upgrade_fields(self._protocol)
        elif response.chunked:
            response.fields = [field for field in response.fields if field[0].lower() != b"transfer-encoding"]
        if route:
            response.fields.append(_ROUTE_FIELD)
        if head:
            response.raw = head[:-2] + policy.ROUTE_LINE if route else head[:-2]
