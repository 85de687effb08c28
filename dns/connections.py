"""DNS over TCP (RFC 7766): messages with their length before them, any number on a connection, and bounds for all."""

import asyncio
from collections.abc import Callable
from typing import cast

PREFIX = 2  # octets of length before each message: RFC 1035, section 4.2.2
# Read at once, from any connection. Bounds how long one client with many pipelined queries keeps the loop (about 1 ms)
# and, with the longest message, what a connection keeps unanswered (80 kB).
CHUNK = 16 * 1024


class Connections:
    """The open connections, least recently used first: at most `most` of them, each idle for at most `idle` seconds.

    A newcomer beyond `most` takes the place of the one that was idle longest (RFC 7766, section 6.2.3, allows both).
    One timer stands for all, and none while there is no connection.
    """

    def __init__(self, answer: Callable[[bytes], bytes | None], most: int, idle: float) -> None:
        self.answer = answer
        self.chunk = bytearray(CHUNK)  # one for all: it is filled and emptied within one turn of the loop
        self._most = most
        self._idle = idle
        self._used: dict[asyncio.Transport, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def protocol(self) -> asyncio.BufferedProtocol:
        """Make the protocol for a connection that is about to be accepted."""
        return _Connection(self)

    def opened(self, transport: asyncio.Transport) -> None:
        """Take a new connection in."""
        if self._closed:  # accepted in the turn of the loop in which the server closed
            transport.abort()
            return
        while len(self._used) >= self._most:
            self._abort(next(iter(self._used)))
        self._used[transport] = asyncio.get_running_loop().time()
        if self._timer is None:
            self._wake_for_the_oldest()

    def used(self, transport: asyncio.Transport) -> None:
        """Note that a connection had a message answered: it is idle from now on."""
        if self._used.pop(transport, None) is not None:
            self._used[transport] = asyncio.get_running_loop().time()

    def lost(self, transport: asyncio.Transport) -> None:
        """Forget a connection."""
        self._used.pop(transport, None)
        if not self._used and self._timer:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """End every connection, now and in the future."""
        self._closed = True
        for transport in list(self._used):
            self._abort(transport)

    def _abort(self, transport: asyncio.Transport) -> None:
        """End a connection without waiting for a client that may never read what is still to be sent."""
        transport.abort()
        self.lost(transport)

    def _expire(self) -> None:
        now = asyncio.get_running_loop().time()
        for transport, used in list(self._used.items()):
            if used + self._idle > now:
                break
            self._abort(transport)
        self._wake_for_the_oldest()

    def _wake_for_the_oldest(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = next(iter(self._used.values()), None)
        self._timer = None if oldest is None else loop.call_at(oldest + self._idle, self._expire)


class _Connection(asyncio.BufferedProtocol):
    """One client: what it sent and is not yet a whole message."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._pending = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has its methods and not its class
        self._connections.opened(self._transport)

    def get_buffer(self, _sizehint: int) -> bytearray:
        return self._connections.chunk

    def buffer_updated(self, nbytes: int) -> None:
        self._pending += memoryview(self._connections.chunk)[:nbytes]
        answers = bytearray()
        for query in self._whole_messages():
            answer = self._connections.answer(query)
            if answer is not None:
                answers += len(answer).to_bytes(PREFIX, "big") + answer
        if answers:
            self._connections.used(self._transport)
            self._transport.write(answers)

    def pause_writing(self) -> None:
        """Read no more from a client that does not read its answers."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._connections.lost(self._transport)

    def _whole_messages(self) -> list[bytes]:
        """Take the whole messages out of what has come."""
        messages = []
        at = 0
        while len(self._pending) >= at + PREFIX:
            end = at + PREFIX + int.from_bytes(self._pending[at : at + PREFIX], "big")
            if len(self._pending) < end:
                break
            messages.append(bytes(self._pending[at + PREFIX : end]))
            at = end
        del self._pending[:at]
        return messages
