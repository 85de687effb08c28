"""Something has changed: whoever waits looks again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Bell:
    """Rung after each change of state. Waiting on it costs nothing while nothing happens."""

    def __init__(self) -> None:
        self._next: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Wakes everybody who waits."""
        if self._next and not self._next.done():
            self._next.set_result(None)
        self._next = None

    def next(self) -> asyncio.Future[None]:
        """Done at the next ring. Taken *before* one looks, so that no ring between look and wait is missed."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        return asyncio.shield(self._next)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns when `condition` holds; looks at once, and after each ring."""
        while not condition():
            await self.next()
