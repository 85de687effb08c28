"""The clients' connections: all of them for the end of a life, the idle ones for the clock to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from proxy_addons.front.clock import Clock
from proxy_addons.front.exchange import Front

#: Seconds in which a head must come, from its first byte; and in which a connection may be idle, as in nginx.
HEAD_TIMEOUT: Final = 30.0
IDLE_TIMEOUT: Final = 75.0

if TYPE_CHECKING:
    from collections.abc import Iterator


class Connection(Protocol):
    """What `Clients` needs to know of a connection, of whatever protocol."""

    #: The clock's tick since which it waits.
    since: int

    @property
    def waits(self) -> bool:
        """Whether nothing is asked on it."""

    @property
    def began(self) -> bool:
        """Whether what it waits for has begun to come."""

    @property
    def busy(self) -> bool:
        """Whether a request is being answered, which a restart should let come to its end."""

    def close(self) -> None:
        """Ends it in good manners."""

    def abort(self) -> None:
        """Ends it."""

    def time_out(self) -> None:
        """Ends it, because what had begun did not come to its end."""


class Clients:
    """All connections of clients."""

    def __init__(self, front: Front, clock: Clock) -> None:
        self.front = front
        self.clock = clock
        #: Whether the gateway is about to end, and every answer is its connection's last.
        self.closing = False
        self._connections: set[Connection] = set()
        self._head, self._idle = clock.ticks(HEAD_TIMEOUT), clock.ticks(IDLE_TIMEOUT)
        clock.ticked.append(self._ticked)

    def add(self, connection: Connection) -> None:
        """It stands, and waits for its first request."""
        self._connections.add(connection)
        connection.since = self.clock.now
        if self.clock.stands:
            self.clock.wind()

    def drop(self, connection: Connection) -> None:
        """It is closed."""
        self._connections.discard(connection)

    def _waiting(self) -> Iterator[Connection]:
        return (connection for connection in list(self._connections) if connection.waits)

    def _ticked(self) -> bool:
        any_waits = False
        for connection in self._waiting():
            age = self.clock.now - connection.since
            if connection.began and age > self._head:
                connection.time_out()
            elif age > self._idle:
                connection.close()
            else:
                any_waits = True
        return any_waits

    def close_waiting(self) -> None:
        """Closes those that only wait; the others follow with the end of their answer."""
        for connection in self._waiting():
            connection.close()

    @property
    def busy(self) -> bool:
        """Whether something is being answered."""
        return any(connection.busy for connection in self._connections)

    def abort(self) -> None:
        """Closes all."""
        for connection in list(self._connections):
            connection.abort()
