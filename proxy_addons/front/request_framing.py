"""Cuts what a client sends over HTTP/1 into its requests: a head, a body, and what comes ahead of its turn."""

from __future__ import annotations

from proxy_addons.front.chunks import Chunks
from proxy_addons.front.client import Client
from proxy_addons.front.exchange import CHUNKED, Request
from proxy_addons.front.heads import END, LONGEST_HEAD, hopeless
from proxy_addons.front.request_head import RequestReader


class FramingError(ValueError):
    """What came is no request. `status`: what to answer."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class RequestFraming:
    """The bytes of one connection. Those of a body pass; only their end is looked for."""

    __slots__ = ("_chunks", "_left", "_reader", "_scanned", "ahead", "closes", "ended")

    def __init__(self, client: Client) -> None:
        #: What came and is not read yet: the beginning of a head, or requests ahead of their turn.
        self.ahead = b""
        #: Of the present request: whether it is complete, and whether it is its client's last on this connection.
        self.ended, self.closes = True, False
        self._reader = RequestReader(client)
        self._scanned = 0
        self._chunks: Chunks | None = None
        self._left = 0

    def read_head(self, data: bytes) -> tuple[Request, bytes] | None:
        """The next request, with what is there of its body; None until its head is complete. Raises `FramingError`."""
        if self.ahead:
            data = self.ahead + data
        if data[:2] == b"\r\n":  # RFC 9112, section 2.2: some clients end a body with a line that is none of its own
            data = data[2:]
        if data[:1] in {b"\r", b"\n"} and data[:2] != b"\r":  # a second such line, or half of one
            raise FramingError(400)
        end = data.find(END, self._scanned) + len(END)
        if end < len(END):
            self._keep(data)
            return None
        self.ahead, self._scanned = b"", 0
        head, rest = (data[:end], data[end:]) if end < len(data) else (data, b"")
        if end > LONGEST_HEAD:
            raise FramingError(431)
        try:
            request = self._reader.read(head)
            self.closes = self._reader.closes
            return request, self._begin_body(request.length, rest)
        except ValueError as error:
            raise FramingError(400) from error

    def _keep(self, data: bytes) -> None:
        if len(data) > LONGEST_HEAD:
            raise FramingError(431)
        if hopeless(data):
            raise FramingError(400)
        self.ahead, self._scanned = data, max(0, len(data) - len(END))

    def _begin_body(self, length: int, data: bytes) -> bytes:
        if length:
            self._chunks = Chunks() if length == CHUNKED else None
            self._left = length
            return self.read_body(data)
        self.ended, self.ahead = True, data
        return b""

    def read_body(self, data: bytes) -> bytes:
        """What of `data` belongs to the body. Raises ``ValueError`` where its chunks are none."""
        if self._chunks is not None:
            end = self._chunks.read(data)
            self.ended = self._chunks.ended
        else:
            end = min(len(data), self._left)
            self._left -= end
            self.ended = not self._left
        if not self.ended:
            return data
        self.ahead = data[end:]
        return data[:end]
