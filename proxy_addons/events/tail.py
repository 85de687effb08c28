"""The newest events, kept in memory for all that follow the log closely, and the bell that wakes them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from proxy_addons.events.log import Log, Stored
from proxy_addons.events.trouble import Trouble
from proxy_addons.events.writer import StorageError

_log = logging.getLogger(__name__)

#: What is kept at most: events, and bytes of them. Whoever is further behind reads from the log.
_EVENTS, _BYTES = 1000, 8 * 1024 * 1024


class Tail:
    """Reads for many from one log. `listeners` are called whenever there is more."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._recent: deque[Stored] = deque()
        self._size = 0
        #: Everything after this place is in memory.
        self._after = log.last
        self._waiting: set[asyncio.Future[None]] = set()
        self.listeners: set[Callable[[], None]] = set()
        self.closed = False
        self._trouble = Trouble(_log, "Events cannot be read")
        log.on_stored = self._stored

    @property
    def last(self) -> int:
        """The newest event's place."""
        return self._log.last

    def _stored(self, stored: Sequence[Stored]) -> None:
        self._recent.extend(stored)
        self._size += sum(one.event.size for one in stored)
        while len(self._recent) > _EVENTS or self._size > _BYTES:
            oldest = self._recent.popleft()
            self._after = oldest.seq
            self._size -= oldest.event.size
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        for listener in tuple(self.listeners):
            listener()

    def ready(self, after: int, limit: int) -> list[Stored] | None:
        """The next events after a place, if they are in memory; None where the log has to be read."""
        if after < self._after:
            return None
        newer = len(self._recent)
        if newer and after > self._after:
            # counted from the end: nearly always, only the last few are wanted
            newer = next((count for count, one in enumerate(reversed(self._recent)) if one.seq <= after), newer)
        start = len(self._recent) - newer
        return list(islice(self._recent, start, start + limit))

    async def read(self, after: int, limit: int) -> list[Stored]:
        """The next events after a place, in order; empty when there are none. Raises `StorageError`."""
        ready = self.ready(after, limit)
        if ready is not None:
            return ready
        try:
            found = await self._log.read(after, limit)
        except StorageError as error:
            self._trouble.begins(error)  # here, once for all that read
            raise
        self._trouble.ends()
        return found

    def close(self) -> None:
        """Nothing comes any more: whoever waits need not."""
        self.closed = True
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self, after: int, seconds: float) -> bool:
        """Whether there is an event after a place, be it after a wait."""
        if self.last > after:
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(future)
        return True
