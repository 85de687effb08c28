"""The connections that stand: free ones for the next request, whoever asks it, and all for the clock to look at."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from proxy_addons.front.clock import Clock
from proxy_addons.front.upstream import Upstream

if TYPE_CHECKING:
    from proxy_addons.front.overhearing import Refusals

#: Seconds that a free connection is kept. Node's server closes after 5, and a request must not meet that.
KEEP_FREE: Final = 4.0
#: Free connections to one upstream. A browser has six, and tests that run side by side some dozens.
_MOST_FREE: Final = 128


class Pool:
    """Upstream connections to one place, and their clock."""

    __slots__ = ("_all", "_free", "_loop", "_reaper", "clock", "refusals", "requests")

    def __init__(self, clock: Clock, refusals: Refusals | None = None) -> None:
        """`refusals`: reads along where a service refuses its host."""
        self.clock = clock
        self.refusals = refusals
        #: How many it was used for: who lets idle services sleep asks.
        self.requests = 0
        self._loop = asyncio.get_running_loop()
        self._free: list[Upstream] = []
        self._all: set[Upstream] = set()
        self._reaper: asyncio.TimerHandle | None = None

    def take(self) -> Upstream | None:
        """A free one: the one that was used last, so that those that are too many get old."""
        while self._free:
            upstream = self._free.pop()
            if upstream.usable:
                return upstream
        return None

    def put(self, upstream: Upstream) -> None:
        """It is free now."""
        if len(self._free) >= _MOST_FREE:
            upstream.close()
            return
        upstream.free_since = self._loop.time()
        self._free.append(upstream)
        if self._reaper is None:
            self._reaper = self._loop.call_later(KEEP_FREE, self._reap)

    def add(self, upstream: Upstream) -> None:
        """It has been made."""
        self._all.add(upstream)

    def drop(self, upstream: Upstream) -> None:
        """It is closed."""
        self._all.discard(upstream)
        if upstream in self._free:
            self._free.remove(upstream)

    def _reap(self) -> None:
        """Closes what has been free for too long. The oldest come first."""
        self._reaper = None
        now = self._loop.time()
        keep = 0
        while keep < len(self._free) and now - self._free[keep].free_since >= KEEP_FREE:
            keep += 1
        old, self._free = self._free[:keep], self._free[keep:]
        for upstream in old:
            upstream.close()
        if self._free:
            self._reaper = self._loop.call_later(self._free[0].free_since + KEEP_FREE - now, self._reap)

    def waiting(self) -> list[Upstream]:
        """Those whose request waits for the head of its answer."""
        return [upstream for upstream in self._all if upstream.waits]

    def close(self) -> None:
        """Closes the free ones."""
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        free, self._free = self._free, []
        for upstream in free:
            upstream.close()

    @property
    def busy(self) -> bool:
        """Whether a request, or what it changed into, is on any of them."""
        return len(self._all) > len(self._free)

    @property
    def empty(self) -> bool:
        """Whether nothing is connected."""
        return not self._all
