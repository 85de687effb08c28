"""New lines of some processes, for a reader who may be slow: he never holds up the processes, nor anybody else."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection

from procman.conversation import Conversation

#: Lines that wait for a slow reader before some are left out.
WAITING_LINES = 20_000

Hearers = set[Callable[[str, bytes], None]]


class Following:
    """Hears from the moment it is made; `tell` sends what was heard."""

    def __init__(self, hearers: Hearers, names: Collection[str]) -> None:
        self._hearers = hearers
        self._names = frozenset(names)
        self._waiting: deque[tuple[float, str, bytes]] = deque(maxlen=WAITING_LINES)
        self._arrived = asyncio.Event()
        self._missed = 0
        hearers.add(self._hear)

    def _hear(self, name: str, lines: bytes) -> None:
        if name in self._names:
            now = time.time()
            for text in lines[:-1].split(b"\n"):
                self._missed += len(self._waiting) == WAITING_LINES
                self._waiting.append((now, name, text))
            self._arrived.set()

    async def tell(self, conversation: Conversation) -> None:
        """Sends each line; how many were missed, too. Ends with the other end of the connection (``OSError``)."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                at, name, text = self._waiting.popleft()
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
