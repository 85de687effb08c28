"""Reads an HTTP/1 request's head."""

from __future__ import annotations

import re
from typing import Final

import httptools

from proxy_addons.front import policy
from proxy_addons.front.client import Client
from proxy_addons.front.exchange import Field, Request
from proxy_addons.front.heads import LINES_BESIDE_FIELDS, VERSIONS, chunked, without

# llhttp refuses what is no ASCII in a URL. curl sends it, and Node without llhttp's strictness took it.
_ASCII: Final = bytes(range(128)) + b"x" * 128
_TARGET: Final = re.compile(rb"[\x21-\x7e\x80-\xff]+")

_OTHER, _HOST, _LENGTH, _ENCODING, _EXPECT, _CONNECTION, _UPGRADE = range(7)
_KINDS: Final = {
    **dict.fromkeys(policy.MANAGED, _OTHER),
    b"host": _HOST,
    b"content-length": _LENGTH,
    b"transfer-encoding": _ENCODING,
    b"expect": _EXPECT,
    b"connection": _CONNECTION,
    b"upgrade": _UPGRADE,
}


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
        if len(words) != 3 or words[2] not in VERSIONS or _TARGET.fullmatch(words[1]) is None:  # noqa: PLR2004 - method, target, version
            raise ValueError("this is no request line")
        if head.count(b"\r\n") != len(fields) + LINES_BESIDE_FIELDS:
            raise ValueError("not every line is a field")
        request = Request(self._client, words[0], words[1], fields, None)
        request.version, request.raw = words[2], head
        self._examine(request)
        if request.length:
            self._parser = httptools.HttpRequestParser(self)  # the old one waits for the body
        return request

    def _examine(self, request: Request) -> None:  # noqa: C901, PLR0912 - one loop over the fields, which every request pays for
        hosts = 0
        connection = upgrade = b""
        managed = request.version == b"HTTP/1.0"
        plain: list[Field] = []
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
                request.length = chunked(value, request.version)
                request.framed = True
            elif kind == _EXPECT:
                request.expects = value.lower() == b"100-continue"
            elif kind == _CONNECTION and value.lower() in policy.PERSISTENCE:
                connection += b"," + value.lower()
                plain.append((name, value))
            else:
                managed = True
                if kind == _CONNECTION:
                    connection += b"," + value.lower()
                elif kind == _UPGRADE:
                    upgrade = value
        if plain and not managed:
            request.raw = without(request.raw, plain)
            managed = not request.raw
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
