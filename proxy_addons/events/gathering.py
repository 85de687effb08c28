"""Small writes that can wait a moment are gathered, and written together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Gathering:
    """Calls `write` once, some seconds after the first `begin`."""

    def __init__(self, seconds: float, write: Callable[[], None]) -> None:
        self._seconds = seconds
        self._write = write
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """There is something to write."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._write)

    def end(self) -> None:
        """It is being written now, or never."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
