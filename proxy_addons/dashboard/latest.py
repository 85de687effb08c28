"""The newest of something, for any number of waiters: who is slow misses what was in between."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """Numbered from 1."""

    def __init__(self) -> None:
        self._number = 0
        self._value: T | None = None
        self._next: asyncio.Future[None] | None = None

    def tell(self, value: T) -> None:
        """The newest from now on."""
        self._value = value
        self._number += 1
        told, self._next = self._next, None
        if told is not None and not told.done():
            told.set_result(None)

    async def newer(self, than: int) -> tuple[int, T]:
        """The newest with its number, once that is above `than`."""
        while self._number <= than or self._value is None:
            if self._next is None:
                self._next = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._next)
        return self._number, self._value
