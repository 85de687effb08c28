"""A coarse clock: it ticks while something waits for a time to pass, and costs nothing while nothing does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

_log = logging.getLogger(__name__)


class Clock:
    """Calls `ticked` every `seconds`, until it returns False; `wind` makes it go again."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self.seconds = seconds
        self.ticked: list[Callable[[], bool]] = []
        #: Ticks since the beginning. Whoever notes it may wait one tick less than it counts.
        self.now = 0

    @property
    def stands(self) -> bool:
        """Whether it must be wound before something can wait."""
        return self._timer is None

    def wind(self) -> None:
        """Makes it tick."""
        if self._timer is None:
            self._timer = self._loop.call_later(self.seconds, self._tick)

    def ticks(self, seconds: float) -> int:
        """The ticks that are no less than `seconds`."""
        return int(seconds / self.seconds) + 1

    def _tick(self) -> None:
        self._timer = None
        self.now += 1
        more = [self._told(each) for each in self.ticked]
        if any(more):
            self.wind()

    @staticmethod
    def _told(each: Callable[[], bool]) -> bool:
        """One that fails must not stop the time of the others, nor its own: it may have been about one connection."""
        try:
            return each()
        except Exception:  # noqa: BLE001 - see above
            _log.exception("A fault at a tick of the clock")
            return True

    def stop(self) -> None:
        """For the end of a life."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
