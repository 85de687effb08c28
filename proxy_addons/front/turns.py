"""Taking turns: requests that need mitmproxy do not starve those that only pass through.

Both share one event loop, and one of the former costs as much of it as some thirty of the latter: without turns, 500
of them a second leave the others a quarter of their rate.
"""

from __future__ import annotations

import asyncio
import collections
from typing import Final

#: Plain requests for each slow one, where both are wanted at once. 1.4 ms of CPU against 40 µs: the plain ones keep
#: 80 / (80 + 35) of the loop, and more than 60 % of their rate where the cores are shared with their clients.
_SHARE: Final = 80
#: Seconds without a plain request after which slow ones need not wait for each other.
_QUIET: Final = 0.001
#: Turns of the loop after which every socket has been asked at least once: uvloop runs what is due before it asks.
_POLLS: Final = 2


class Turns:
    """Says when a slow request may begin. It costs nothing while nothing waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        #: How many plain requests there were; who passes one through counts it.
        self.plain = 0
        self._at_last_turn = self._at_last_look = 0
        self._waiting: collections.deque[asyncio.Future[None]] = collections.deque()

    def take(self) -> bool:
        """Whether a slow request may begin at once; else `wait` for a turn."""
        passed = self.plain - self._at_last_turn
        if self._waiting or 0 < passed < _SHARE:
            return False
        self._at_last_turn = self.plain
        return True

    async def wait(self) -> None:
        """Returns when it is this request's turn."""
        turn: asyncio.Future[None] = self._loop.create_future()
        if not self._waiting:
            self._at_last_look = self.plain
            self._loop.call_later(_QUIET, self._look_after, _POLLS)
        self._waiting.append(turn)
        await turn

    def _look_after(self, polls: int) -> None:
        """Lets the loop ask its sockets first: what came during a slow request's work has not been seen yet."""
        if polls:
            self._loop.call_soon(self._look_after, polls - 1)
        else:
            self._look()

    def _look(self) -> None:
        quiet = self.plain == self._at_last_look
        self._at_last_look = self.plain
        if quiet or self.plain - self._at_last_turn >= _SHARE:
            self._give()
        if not self._waiting:
            return
        if quiet:  # the next one as soon as the sockets were asked, if no plain request comes first
            self._look_after(_POLLS)
        else:
            self._loop.call_later(_QUIET, self._look_after, _POLLS)

    def _give(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # else its client has gone
                self._at_last_turn = self.plain
                turn.set_result(None)
                return
