"""Requests to subscribers and to other brokers: HTTP/1.1, connections kept and used again, answers bounded."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import httptools

from proxy_addons.events.trust import Trust

#: What is kept of an answer's body; more than that nobody reads.
_KEPT = 64 * 1024
#: Connections that are kept to one place, and for how long nothing may happen on them (below Node's 5 s). Seconds.
_IDLE_MOST, _IDLE = 16, 4.0
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
    """An answer; names of `headers` are in lower case. `fields`: all of them, as they came."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    def values(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value.decode("latin-1") for key, value in self.fields if key.decode("latin-1").lower() == name.lower()]


class HttpClient:
    """A pool of connections. Call `close` at the end."""

    def __init__(self) -> None:
        self._idle: dict[Place, list[_Connection]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def request(self, place: Place, head: bytes, body: bytes) -> Answer:
        """Sends a request's head (with its empty line) and body. Raises ``OSError``, `RefusedError` if nobody listens.

        On a kept connection that was closed meanwhile it is sent once more: events may arrive twice.
        """
        connection = self._kept(place)
        if connection is not None:
            try:
                return await self._exchange(place, connection, head, body)
            except ConnectionError:
                if connection.answered:
                    raise
        return await self._exchange(place, await _connect(place), head, body)

    async def _exchange(self, place: Place, connection: _Connection, head: bytes, body: bytes) -> Answer:
        try:
            answer = await connection.exchange(head + body)
        except BaseException:
            connection.transport.abort()
            raise
        if connection.reusable and len(idle := self._idle.setdefault(place, [])) < _IDLE_MOST:
            connection.idle_since = asyncio.get_running_loop().time()
            idle.append(connection)
            self._arm()
        else:
            connection.transport.close()
        return answer

    def _kept(self, place: Place) -> _Connection | None:
        idle = self._idle.get(place, [])
        while idle:
            connection = idle.pop()
            if not connection.lost and not connection.transport.is_closing():
                return connection
        return None

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_IDLE, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        oldest = asyncio.get_running_loop().time() - _IDLE
        for place, idle in list(self._idle.items()):
            for connection in [one for one in idle if one.lost or one.idle_since <= oldest]:
                idle.remove(connection)
                connection.transport.close()
            if not idle:
                del self._idle[place]
        if self._idle:
            self._arm()

    async def stream(self, place: Place, head: bytes) -> AsyncGenerator[bytes, None]:
        """An answer without end, on a connection of its own. Raises `BadStatusError` where it is not 200."""
        connection = await _connect(place)
        try:
            pieces = connection.open_stream(head)
            answer = await connection.until_head()
            if answer.status != 200:  # noqa: PLR2004 - OK
                raise BadStatusError(answer.status)
            while (piece := await pieces.get()) is not None:
                yield piece
        finally:
            connection.transport.abort()

    def close(self) -> None:
        """Closes what is kept."""
        if self._timer:
            self._timer.cancel()
        for idle in self._idle.values():
            for connection in idle:
                connection.transport.abort()
        self._idle.clear()


class BadStatusError(Exception):
    """Another status than the one that was needed."""

    def __init__(self, status: int) -> None:
        super().__init__(f"it answered {status}")
        self.status = status


async def _connect(place: Place) -> _Connection:
    loop = asyncio.get_running_loop()
    error: OSError = RefusedError("there is no address to connect to")
    context = place.context.context() if isinstance(place.context, Trust) else place.context
    for host, port in place.addresses:
        try:
            _, connection = await loop.create_connection(
                _Connection, host, port, ssl=context if place.tls_name else None, server_hostname=place.tls_name
            )
        except ConnectionRefusedError as refused:
            error = RefusedError(str(refused))
        except OSError as failed:
            error = failed
        else:
            return connection
    raise error


class _Connection(asyncio.Protocol):
    """One connection, one exchange at a time."""

    def __init__(self) -> None:
        self.lost = self.answered = self.reusable = False
        self.idle_since = 0.0
        self._future: asyncio.Future[Answer] | None = None
        self._head: asyncio.Future[Answer] | None = None
        self._pieces: asyncio.Queue[bytes | None] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport: asyncio.Transport = transport

    async def exchange(self, data: bytes) -> Answer:
        """One request, one answer."""
        self._begin(data)
        self._future = asyncio.get_running_loop().create_future()
        return await self._future

    def open_stream(self, data: bytes) -> asyncio.Queue[bytes | None]:
        """One request, whose answer comes in pieces; None is the end."""
        self._begin(data)
        self._pieces = asyncio.Queue()
        self._head = asyncio.get_running_loop().create_future()
        return self._pieces

    async def until_head(self) -> Answer:
        """The answer's head."""
        assert self._head is not None
        return await self._head

    def _begin(self, data: bytes) -> None:
        if self.lost:
            raise ConnectionResetError("the connection was closed")
        self._parser = httptools.HttpResponseParser(self)
        self._answer = Answer()
        self._body = bytearray()
        self.answered = self.reusable = self._headed = False
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        if self._future is None and self._pieces is None:
            self.transport.abort()  # nobody asked
            return
        self.answered = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"no HTTP answer: {error}"))
            self.transport.abort()

    def on_message_begin(self) -> None:
        self._answer, self._body = Answer(), bytearray()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")
        self._answer.fields.append((name, value))

    def on_headers_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()
        if self._answer.status >= 200 or self._answer.status == _SWITCHING:  # noqa: PLR2004 - final
            self._headed = True
            if self._head and not self._head.done():
                self._head.set_result(self._answer)

    def on_body(self, data: bytes) -> None:
        if self._pieces is not None:
            self._pieces.put_nowait(data)
        elif len(self._body) < _KEPT:
            self._body += data

    def on_message_complete(self) -> None:
        if self._headed:
            self.reusable = self._parser.should_keep_alive()
            self._finish()

    def _finish(self) -> None:
        self._answer.body = bytes(self._body)
        future, self._future = self._future, None
        if future and not future.done():
            future.set_result(self._answer)
        if self._pieces is not None:
            self._pieces.put_nowait(None)

    def _fail(self, error: Exception) -> None:
        for future in (self._future, self._head):
            if future and not future.done():
                future.set_exception(error)
        self._future = None
        if self._pieces is not None:
            self._pieces.put_nowait(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        framed = getattr(self, "_answer", None) and {"content-length", "transfer-encoding"} & set(self._answer.headers)
        if self._future and self._headed and not framed:
            self._finish()  # a body that ends with its connection (RFC 9112, section 6.3)
        else:
            self._fail(exc if isinstance(exc, ConnectionError) else ConnectionResetError("closed without an answer"))
