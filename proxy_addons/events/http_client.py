"""Requests to subscribers and to other brokers: connections are kept and used again, answers are bounded."""

from __future__ import annotations

import asyncio

from procman.subscription import MOST_SIDE_BY_SIDE
from proxy_addons.events.http_connection import Answer, Connection, Place, connect

#: What is kept of an answer's body, in bytes, where the caller does not need more.
_KEPT = 64 * 1024
#: Connections that are kept to one place: as many as one subscription may have at work. With fewer, each burst of a
#: subscriber with a larger `concurrency` would close and open the rest anew. They are gone after `_IDLE`.
_IDLE_MOST = MOST_SIDE_BY_SIDE
#: Seconds for which nothing may happen on a kept connection (Node's servers close theirs after 5).
_IDLE = 4.0


class HttpClient:
    """A pool of connections. Call `close` at the end."""

    def __init__(self) -> None:
        self._idle: dict[Place, list[Connection]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def request(self, place: Place, head: bytes, body: bytes, kept: int = _KEPT) -> Answer:
        """Sends a request's head (with its empty line) and body. Raises ``OSError``, `RefusedError` if nobody listens.

        On a kept connection that was closed meanwhile it is sent once more: events may arrive twice.
        """
        connection = self._kept(place)
        if connection is not None:
            try:
                return await self._exchange(place, connection, head + body, kept)
            except ConnectionError:
                if connection.answered:
                    raise
        return await self._exchange(place, await connect(place), head + body, kept)

    async def _exchange(self, place: Place, connection: Connection, data: bytes, kept: int) -> Answer:
        try:
            answer = await connection.exchange(data, kept)
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

    def _kept(self, place: Place) -> Connection | None:
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

    def close(self) -> None:
        """Closes what is kept."""
        if self._timer:
            self._timer.cancel()
        for idle in self._idle.values():
            for connection in idle:
                connection.transport.abort()
        self._idle.clear()


class Stream:
    """An answer whose body is read as it comes, on a connection of its own. Each method may raise ``OSError``."""

    def __init__(self, place: Place, head: bytes) -> None:
        self._place = place
        self._request = head
        self._connection: Connection | None = None

    async def open(self) -> None:
        """Connects."""
        self._connection = await connect(self._place)

    async def head(self) -> Answer:
        """Asks, and waits for the answer's head."""
        assert self._connection is not None
        return await self._connection.stream(self._request)

    async def read(self) -> bytes:
        """What has come, be it after a wait; empty at the end."""
        assert self._connection is not None
        return await self._connection.read()

    def close(self) -> None:
        """Wherever it is."""
        if self._connection is not None:
            self._connection.transport.abort()
