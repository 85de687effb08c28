"""Reads HTTP/1 heads: llhttp parses, and what it lets through but could be read in two ways is refused here."""

from __future__ import annotations

import re
from typing import Final

import httptools

from proxy_addons.front import policy
from proxy_addons.front.client import Client
from proxy_addons.front.exchange import CHUNKED, TUNNEL, UNTIL_CLOSE, Field, Request, Response

#: Bytes of a request's or an answer's head. nginx ends at 32 KiB, Node at 16: a cookie jar of localhost grows larger.
LONGEST_HEAD: Final = 64 * 1024
END: Final = b"\r\n\r\n"
#: A line end that not every reader takes for one, or a first byte that begins no method.
_HOPELESS: Final = re.compile(rb"(?<!\r)\n|\A[^A-Za-z\r]|\A\r[^\n]")
# llhttp refuses what is no ASCII in a URL. curl sends it, and Node without llhttp's strictness took it.
_ASCII: Final = bytes(range(128)) + b"x" * 128
_TARGET: Final = re.compile(rb"[\x21-\x7e\x80-\xff]+")

_OTHER, _HOST, _LENGTH, _ENCODING, _EXPECT, _CONNECTION, _UPGRADE, _ROUTE = range(8)
_KINDS: Final = {
    **dict.fromkeys(policy.MANAGED, _OTHER),
    b"host": _HOST,
    b"content-length": _LENGTH,
    b"transfer-encoding": _ENCODING,
    b"expect": _EXPECT,
    b"connection": _CONNECTION,
    b"upgrade": _UPGRADE,
}
_ANSWER_KINDS: Final = {
    **dict.fromkeys(policy.MANAGED_ANSWER, _OTHER),
    policy.ROUTE.lower(): _ROUTE,
    b"content-length": _LENGTH,
    b"transfer-encoding": _ENCODING,
    b"connection": _CONNECTION,
    b"upgrade": _UPGRADE,
}
_SWITCHING, _FIRST_FINAL = 101, 200
#: No Content, Not Modified (RFC 9110, section 6.4.1).
_EMPTY: Final = frozenset((204, 304))
_VERSIONS: Final = frozenset((b"HTTP/1.1", b"HTTP/1.0"))
_VERSION, _REASON = len("HTTP/1.1"), len("HTTP/1.1 200 ")
_ROUTE_FIELD: Final = (policy.ROUTE, b"local")
_LINES_BESIDE_FIELDS = 2


def hopeless(data: bytes) -> bool:
    """Whether the beginning of a head can be no head, so that nobody waits for its end."""
    return _HOPELESS.search(data) is not None


class RequestReader:
    """Reads the requests of one client's connection, one after the other."""

    __slots__ = ("_client", "_fields", "_parser", "closes")

    def __init__(self, client: Client) -> None:
        self._client = client
        self._fields: list[Field] = []
        self._parser = httptools.HttpRequestParser(self)
        #: Whether the request that was read last is its client's last on this connection.
        self.closes = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by llhttp's binding."""
        self._fields.append((name, value))

    def read(self, head: bytes) -> Request:
        """One head, its empty line included. Raises ``ValueError``."""
        fields: list[Field] = []
        self._fields = fields
        end = head.index(b"\r\n")
        line = head[:end]
        try:
            self._parser.feed_data(head if line.isascii() else line.translate(_ASCII) + head[end:])
        except httptools.HttpParserUpgrade:
            self._parser = httptools.HttpRequestParser(self)
        except httptools.HttpParserError as error:
            raise ValueError(str(error)) from error
        words = line.split(b" ")
        # llhttp skips spaces between the words, and knows RTSP and HTTP/0.9
        if len(words) != 3 or words[2] not in _VERSIONS or _TARGET.fullmatch(words[1]) is None:  # noqa: PLR2004 - method, target, version
            raise ValueError("this is no request line")
        if head.count(b"\r\n") != len(fields) + _LINES_BESIDE_FIELDS:
            raise ValueError("not every line is a field")
        request = Request(self._client, words[0], words[1], fields, None)
        request.version, request.raw = words[2], head
        self._examine(request)
        if request.length:
            self._parser = httptools.HttpRequestParser(self)  # the old one waits for the body
        return request

    def _examine(self, request: Request) -> None:  # noqa: C901 - one loop over the fields, which every request pays for
        hosts = 0
        connection = upgrade = b""
        managed = request.version == b"HTTP/1.0"
        for name, value in request.fields:
            kind = _KINDS.get(name.lower())
            if kind is None:
                continue
            if kind == _HOST:
                hosts += 1
                request.host = value.rstrip(b" \t")
            elif kind == _LENGTH:
                request.length = int(value)
            elif kind == _ENCODING:
                request.length = _chunked(value, request.version)
                request.framed = True
            elif kind == _EXPECT:
                request.expects = value.lower() == b"100-continue"
            else:
                managed = True
                if kind == _CONNECTION:
                    connection += b"," + value.lower()
                elif kind == _UPGRADE:
                    upgrade = value
        request.managed = managed
        if hosts != 1:
            request.host = None
        self.closes = request.version == b"HTTP/1.0"
        if connection:
            tokens = {token.strip() for token in connection.split(b",")}
            self.closes = self.closes or b"close" in tokens
            # h2c is not offered on, and with a body nobody could say where the other protocol begins
            if b"upgrade" in tokens and upgrade.lower() != b"h2c" and not request.length:
                request.upgrade = upgrade


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
        if head.count(b"\r\n") != len(fields) + _LINES_BESIDE_FIELDS:
            raise ValueError("not every line is a field")
        version, status = head[:_VERSION], self._parser.get_status_code()
        if version not in _VERSIONS:
            raise ValueError("the answer is in another version of HTTP than the request")
        response = Response(status, head[_REASON : head.index(b"\r\n")], fields, UNTIL_CLOSE)
        managed = self._examine(response, version)
        if status < _FIRST_FINAL or status in _EMPTY or method == b"HEAD":
            response.length = 0
        if policy.tunnelled(status, method):
            response.length, self.keeps = TUNNEL, False
        elif response.length or method == b"HEAD":
            self._parser = httptools.HttpResponseParser(self)  # the old one waits for the body
        self._finish(response, b"" if managed else head)
        return response

    def _examine(self, response: Response, version: bytes) -> bool:
        managed, connection = version == b"HTTP/1.0", b""
        for name, value in response.fields:
            kind = _ANSWER_KINDS.get(name.lower())
            if kind is None:
                continue
            if kind == _LENGTH:
                response.length = int(value)
            elif kind == _ENCODING:
                response.length = _chunked(value)
                response.chunked = True
            elif kind == _ROUTE:
                managed = managed or self._local
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
        return managed

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


def _chunked(value: bytes, version: bytes = b"HTTP/1.1") -> int:
    """CHUNKED, the only transfer coding that is left in use. Raises ``ValueError`` for any other."""
    if value.rstrip(b" \t").lower() != b"chunked" or version != b"HTTP/1.1":
        raise ValueError("this transfer coding is not known")
    return CHUNKED
