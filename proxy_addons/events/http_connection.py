"""One connection to a server, HTTP/1.1: a request at a time, and its answer, whole or piece by piece."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import httptools

from proxy_addons.events.trust import Trust

#: Bytes of a streamed answer that may wait to be read: with more of them, the other side waits.
_AHEAD = 1024 * 1024
#: Bytes of an answer's head, with the interim ones before it, that are read at most; and of a body beyond what is kept:
#: after them the answer is as good as complete, and nobody reads what may have no end.
_LARGEST_HEAD, _MOST_SKIPPED = 256 * 1024, 1024 * 1024
_SWITCHING = 101


class RefusedError(ConnectionError):
    """Nobody listens there."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to connect: `addresses` are tried in turn. `tls_name`: whom the certificate must be for; None: no TLS.

    `context`: how TLS is spoken; or a `Trust`, asked for it with each new connection; it may raise ``OSError``.
    """

    addresses: tuple[tuple[str, int], ...]
    tls_name: str | None = None
    context: ssl.SSLContext | Trust | None = None


@dataclass(slots=True)
class Answer:
    """An answer; names of `headers` are in lower case.

    `fields`: all of them, as they came. `cut`: the body was longer than what was kept of it.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    cut: bool = False

    def values(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value.decode("latin-1") for key, value in self.fields if key.decode("latin-1").lower() == name.lower()]


async def connect(place: Place) -> Connection:
    """A new connection. Raises ``OSError``, `RefusedError` if nobody listens.

    Where one address refuses and the other is none of this machine (many containers have no ::1), nobody listens.
    """
    loop = asyncio.get_running_loop()
    error: OSError | None = None
    context = place.context.context() if isinstance(place.context, Trust) else place.context
    for host, port in place.addresses:
        try:
            _, connection = await loop.create_connection(
                Connection, host, port, ssl=context if place.tls_name else None, server_hostname=place.tls_name
            )
        except ConnectionRefusedError as refused:
            error = RefusedError(str(refused))
        except OSError as failed:
            error = error or failed
        else:
            return connection
    raise error or RefusedError("there is no address to connect to")


class Connection(asyncio.Protocol):
    """One connection, one exchange at a time."""

    def __init__(self) -> None:
        self.lost = self.answered = self.reusable = False
        self.idle_since = 0.0
        self._head: asyncio.Future[Answer] | None = None
        self._whole: asyncio.Future[Answer] | None = None
        #: How much of a body is kept; None: it is read piece by piece.
        self._kept: int | None = 0
        self._pieces: deque[bytes] = deque()
        self._ahead = 0
        self._more = asyncio.Event()
        self._ended: Exception | None = None
        self._complete = False

    def connection_made(self, transport: Any) -> None:
        """Uvloop's transports are no subclasses of asyncio's."""
        self.transport: asyncio.Transport = transport

    async def exchange(self, data: bytes, kept: int) -> Answer:
        """One request, one answer with at most `kept` bytes of its body."""
        self._begin(data, kept)
        self._whole = asyncio.get_running_loop().create_future()
        return await self._whole

    async def stream(self, data: bytes) -> Answer:
        """One request, and its answer's head; the body comes by `read`."""
        self._begin(data, None)
        self._head = asyncio.get_running_loop().create_future()
        return await self._head

    async def read(self) -> bytes:
        """What has come of a streamed body, be it after a wait; empty at its end. Raises ``OSError``."""
        while not self._pieces and not self._complete and self._ended is None:
            self._more.clear()
            await self._more.wait()
        if not self._pieces:
            if self._ended and not self._complete:
                raise self._ended
            return b""
        found = b"".join(self._pieces)
        self._pieces.clear()
        self._ahead = 0
        if not self.lost:
            self.transport.resume_reading()
        return found

    def _begin(self, data: bytes, kept: int | None) -> None:
        if self.lost:
            raise ConnectionResetError("the connection was closed")
        self._parser = httptools.HttpResponseParser(self)
        self._answer, self._body = Answer(), bytearray()
        self._kept = kept
        self._head_size = self._skipped = 0
        self.answered = self.reusable = self._headed = self._complete = False
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Some of an answer."""
        if self._head is None and self._whole is None:
            self.transport.abort()  # nobody asked
            return
        self.answered = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"no HTTP answer: {error}"))
            self.transport.abort()
        if not self._headed:
            self._head_size += len(data)
            if self._head_size > _LARGEST_HEAD:
                self._fail(ConnectionError("the head of its answer has no end"))
                self.transport.abort()

    def on_message_begin(self) -> None:
        """llhttp: an answer begins, perhaps only an interim one."""
        self._answer, self._body = Answer(), bytearray()

    def on_header(self, name: bytes, value: bytes) -> None:
        """llhttp: a field."""
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")
        self._answer.fields.append((name, value))

    def on_headers_complete(self) -> None:
        """llhttp: the body follows."""
        self._answer.status = self._parser.get_status_code()
        if self._answer.status >= 200 or self._answer.status == _SWITCHING:  # noqa: PLR2004 - final
            self._headed = True
            if self._head and not self._head.done():
                self._head.set_result(self._answer)

    def on_body(self, data: bytes) -> None:
        """llhttp: some of the body."""
        if self._kept is not None:
            room = self._kept - len(self._body)
            self._body += data[:room]
            if len(data) > room:
                self._skip(len(data) - room)
            return
        self._pieces.append(data)
        self._ahead += len(data)
        if self._ahead > _AHEAD:
            self.transport.pause_reading()
        self._more.set()

    def _skip(self, size: int) -> None:
        self._answer.cut = True
        self._skipped += size
        if self._skipped > _MOST_SKIPPED and not self._complete:
            self._finish()
            self.transport.abort()

    def on_message_complete(self) -> None:
        """llhttp: that was all of it."""
        if self._headed and not self._complete:
            self.reusable = self._parser.should_keep_alive()
            self._finish()

    def _finish(self) -> None:
        self._answer.body = bytes(self._body)
        whole, self._whole = self._whole, None
        if whole and not whole.done():
            whole.set_result(self._answer)
        self._complete = True
        self._more.set()

    def _fail(self, error: Exception) -> None:
        for future in (self._whole, self._head):
            if future and not future.done():
                future.set_exception(error)
        self._whole = None
        self._ended = error
        self._more.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server, or the way to it, has gone."""
        self.lost = True
        framed = getattr(self, "_answer", None) and {"content-length", "transfer-encoding"} & set(self._answer.headers)
        if (self._whole or self._head) and getattr(self, "_headed", False) and not framed:
            self._finish()  # a body that ends with its connection (RFC 9112, section 6.3)
        else:
            self._fail(exc if isinstance(exc, ConnectionError) else ConnectionResetError("closed without an answer"))
