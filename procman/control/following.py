"""New lines of some processes, for a reader who may be slow: he never holds up the processes, nor anybody else."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection

from procman.control.conversation import Conversation

#: What waits for a slow reader before some is left out: lines, and their bytes.
WAITING_LINES, WAITING_BYTES = 20_000, 8 * 1024 * 1024

Hearers = set[Callable[[str, bytes], None]]


class Following:
    """Hears from the moment it is made; `tell` sends what was heard."""

    def __init__(self, hearers: Hearers, names: Collection[str]) -> None:
        self._hearers = hearers
        self._names = frozenset(names)
        self._waiting: deque[tuple[float, str, bytes]] = deque()
        self._size = 0
        self._arrived = asyncio.Event()
        self._missed = 0
        hearers.add(self._hear)

    def _hear(self, name: str, lines: bytes) -> None:
        if name in self._names:
            now = time.time()
            for text in lines[:-1].split(b"\n"):
                self._waiting.append((now, name, text))
                self._size += len(text)
                while len(self._waiting) > WAITING_LINES or self._size > WAITING_BYTES:
                    self._next()
                    self._missed += 1
            self._arrived.set()

    def _next(self) -> tuple[float, str, bytes]:
        first = self._waiting.popleft()
        self._size -= len(first[2])
        return first

    async def tell(self, conversation: Conversation) -> None:
        """Sends each line; how many were missed, too. Ends with the other end of the connection (``OSError``)."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                at, name, text = self._next()
                await conversation.tell(line={"at": at, "name": name, "text": as_text(text)})
            if self._missed:
                missed, self._missed = self._missed, 0
                await conversation.tell(missed=missed)

    def close(self) -> None:
        """Hears no more."""
        self._hearers.discard(self._hear)


def as_text(line: bytes) -> str:
    """A line of any bytes as JSON can carry it; the reader turns it back into the same bytes."""
    return line.decode("utf-8", "surrogateescape")
