"""Until when a lane does not try: somebody was not there, or asked for time."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

#: Seconds until the next look where nothing tells that it is worth one: the first pause, doubled up to the longest. The
#: supervisor tells at once when a service starts, and an engine when it is back; a server that reloads itself, a full
#: disk and a remote tell nobody. Half a minute is what a person does not wait for, and costs two looks a minute.
_FIRST, _LAST = 0.2, 30.0


class Hold:
    """`over` is called once when the time has come. A hold that was lifted calls nobody."""

    def __init__(self, over: Callable[[], None]) -> None:
        self._over = over
        self._until, self._pause = 0.0, _FIRST
        self._timer: asyncio.TimerHandle | None = None

    @property
    def on(self) -> bool:
        """Whether nothing is to be tried now."""
        return self.left > 0

    @property
    def left(self) -> float:
        """Seconds until something may be tried."""
        return max(0.0, self._until - time.monotonic())

    def take(self, least: float = 0.0) -> None:
        """It was tried in vain: the next try is due after a pause, and not before `least` seconds; ``inf``: never."""
        if self.on:
            self.ask_for(least)  # others, tried side by side, have met the same
            return
        self.ask_for(max(self._pause, least))
        self._pause = min(self._pause * 2, _LAST)

    def ask_for(self, seconds: float) -> None:
        """Nothing is to be tried for so long."""
        self._until = max(self._until, time.monotonic() + seconds)

    def arm(self) -> None:
        """Somebody would try, if the time had come."""
        if self._timer is None and self._until < math.inf:
            self._timer = asyncio.get_running_loop().call_later(self.left, self._passed)

    def _passed(self) -> None:
        self._timer = None
        self._over()

    def ease(self) -> None:
        """A try went well: the next pause is a short one."""
        self._pause = _FIRST

    def lift(self) -> None:
        """Something has changed: it may be tried at once."""
        self._until = 0.0
        self.ease()
        self.close()

    def close(self) -> None:
        """No timer rings any more."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
