"""Inspection as a whole: what is watched, when it ends, and the recorder, which is loaded when it begins."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from proxy_addons.beside import imported
from proxy_addons.inspection.watched import USUAL, Watched

if TYPE_CHECKING:
    from proxy_addons.inspection.recorder import Recorder
    from proxy_addons.inspection.store import Store

#: Seconds for which what was recorded is kept after the last host's inspection has ended.
KEPT: Final = 3600.0


class Inspection:
    """Off until somebody turns it on, and off again by itself."""

    def __init__(self, ready: Callable[[], Awaitable[Any]], clock: Callable[[], float] = time.monotonic) -> None:
        """`ready` waits for mitmproxy."""
        self.ready = ready
        self._clock = clock
        self.watched = Watched(clock)
        #: None until something is inspected, and again when what it recorded is forgotten.
        self.recorder: Recorder | None = None
        #: Told when what is watched has changed.
        self.listeners: set[Callable[[], None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._idle_since: float | None = None

    @property
    def store(self) -> Store | None:
        """What was recorded."""
        return self.recorder.store if self.recorder is not None else None

    async def turn_on(self, names: Iterable[str], seconds: float = USUAL) -> None:
        """From the next request. Raises ``ValueError`` for too many names."""
        if self.recorder is None:
            await self.ready()
            modules = [await imported(f"proxy_addons.inspection.{name}") for name in ("recorder", "store")]
            if self.recorder is None:  # somebody else may have been faster meanwhile
                self.recorder = modules[0].Recorder(self.watched, modules[1].Store())
        self.watched.add(names, seconds)
        self._changed()

    def turn_off(self, names: Iterable[str] | None = None) -> list[str]:
        """From the next request; None: everything. Returns what was on. What was recorded stays for `KEPT`."""
        gone = self.watched.remove(names)
        self._changed()
        return gone

    def look(self) -> None:
        """Ends what is over."""
        if self.watched.expire():
            self._changed()
        elif self._idle_since is not None and self._clock() - self._idle_since >= KEPT and self.recorder is not None:
            self.recorder.store.clear()
            self.recorder = None
            self._tell()
        else:
            self._arm()

    def _changed(self) -> None:
        if self.watched:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = self._clock()
        self._arm()
        self._tell()

    def _tell(self) -> None:
        for listener in list(self.listeners):
            listener()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        end = self.watched.next_end
        if end is None and self._idle_since is not None and self.recorder is not None:
            end = self._idle_since + KEPT
        if end is not None:
            wait = max(0.0, end - self._clock())
            self._timer = asyncio.get_running_loop().call_later(wait, self.look)

    def close(self) -> None:
        """The gateway ends."""
        if self._timer is not None:
            self._timer.cancel()
