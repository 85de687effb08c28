"""Who may start now: a laptop that starts thirty services at once starts none of them in time."""

from __future__ import annotations

import asyncio
import os
from collections import deque


class StartQueue:
    """At most `width` processes are between their start and their readiness; the others wait in order."""

    def __init__(self, width: int | None = None) -> None:
        self.width = width or max(2, os.cpu_count() or 2)
        self._starting: set[str] = set()
        self._waiting: deque[tuple[str, asyncio.Future[None]]] = deque()

    async def turn(self, name: str) -> None:
        """Returns when `name` may start. Its turn lasts until `leave`; a cancelled wait gives it up."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((name, place))
        self._admit()
        try:
            await place
        except asyncio.CancelledError:
            if (name, place) in self._waiting:
                self._waiting.remove((name, place))
            else:
                self.leave(name)
            raise

    def leave(self, name: str) -> None:
        """`name` is ready, or gone. Said twice, it means nothing."""
        if name in self._starting:
            self._starting.discard(name)
            self._admit()

    def _admit(self) -> None:
        while self._waiting and len(self._starting) < self.width:
            name, place = self._waiting.popleft()
            if not place.done():
                self._starting.add(name)
                place.set_result(None)
