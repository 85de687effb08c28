"""What a supervisor is told by signals: the first one asks it to end, the next one to kill."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable

#: Signals that come this soon after one another are one Ctrl-C, passed on by a wrapper (npm, uv) as well. Seconds.
_ONE_PRESS = 0.05

_TAKEN = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """Handlers only record; whoever waits for `ending` acts. The second press calls `hurry`.

    `foreground`: there is a terminal, and its end is meant for this process.
    """

    def __init__(self, *, foreground: bool) -> None:
        self.ending = asyncio.Event()
        self.hurry: Callable[[], None] = lambda: None
        self._foreground = foreground
        self._came: list[tuple[int, float]] = []

    def take(self, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        """From here on they come here. Returns what ends that."""
        for number in _TAKEN:
            loop.add_signal_handler(number, self._came_now, number)

        def give_back() -> None:
            for number in _TAKEN:
                loop.remove_signal_handler(number)

        return give_back

    def _came_now(self, number: int) -> None:
        if number == signal.SIGHUP and not self._foreground:
            return  # a terminal that closes is nothing to what runs in the background
        now = time.monotonic()
        again = bool(self._came) and number != signal.SIGHUP and now - self._came[-1][1] > _ONE_PRESS
        self._came.append((number, now))
        self.ending.set()
        if again:
            self.hurry()

    @property
    def terminated(self) -> bool:
        """SIGTERM is nobody's Ctrl-C: the login ends, or the machine."""
        return any(number == signal.SIGTERM for number, _ in self._came)

    def exit_code(self, otherwise: int) -> int:
        """Of a process that a signal ended, as shells count it."""
        return 128 + self._came[0][0] if self._came else otherwise
