"""Who may start now: a laptop that starts thirty services at once starts none of them in time."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable

from procman.machine import proc

#: Below this much free memory only one process at a time is between its start and its readiness. Bytes.
SCARCE = 512 * 1024 * 1024


class StartQueue:
    """At most `width` processes are between their start and their readiness; the others wait in order.

    Where memory is scarce there is one at a time: never none, because then nothing would ever start.
    """

    def __init__(self, width: int | None = None, free_memory: Callable[[], int] = proc.free_memory) -> None:
        self.width = width or max(2, os.cpu_count() or 2)
        self._free_memory = free_memory
        self._starting: set[str] = set()
        self._waiting: deque[tuple[str, asyncio.Future[None]]] = deque()

    async def turn(self, name: str, *, urgent: bool = False) -> None:
        """Returns when `name` may start. Its turn lasts until `leave`; a cancelled wait gives it up.

        `urgent`: somebody waits for this very one (a page in a browser, ``stores restart``), so it does not wait.
        """
        if urgent:
            self._starting.add(name)
            return
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

    def hasten(self, name: str) -> None:
        """`name` waits already, and is urgent now."""
        for entry in [entry for entry in self._waiting if entry[0] == name]:
            self._waiting.remove(entry)
            self._enter(*entry)

    def leave(self, name: str) -> None:
        """`name` is ready, or gone. Said twice, it means nothing."""
        if name in self._starting:
            self._starting.discard(name)
            self._admit()

    def _admit(self) -> None:
        while self._waiting and len(self._starting) < self._room():
            self._enter(*self._waiting.popleft())

    def _enter(self, name: str, place: asyncio.Future[None]) -> None:
        if not place.done():
            self._starting.add(name)
            place.set_result(None)

    def _room(self) -> int:
        return self.width if self._free_memory() >= SCARCE else 1
