"""What is asked of a process while its task waits for something else."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any


class Asked:
    """Set from outside at any time; the task waits beside it, and answers it with a new life.

    `dismissed`: the present life is to end, whatever comes after it. `urgent`: somebody waits for the next one.
    `hurry`: what is being ended is to be killed.
    """

    def __init__(self) -> None:
        self.dismissed = False
        self.urgent = False
        self.hurry = asyncio.Event()
        self._event = asyncio.Event()

    def dismiss(self) -> None:
        """The present life ends now; so does a pause before the next one."""
        self.dismissed = True
        self._event.set()

    def answered(self) -> None:
        """A new life begins: that is what was asked, whatever it was."""
        self.dismissed = False
        self._event.clear()
        self.hurry.clear()

    def forget(self) -> None:
        """What was asked of a life that has ended by itself is no reason to end the pause after it."""
        self._event.clear()

    async def or_done(self, work: asyncio.Future[Any]) -> None:
        """Returns when `work` is done, or something is asked."""
        asked = asyncio.ensure_future(self._event.wait())
        either: set[asyncio.Future[Any]] = {work, asked}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()

    async def unless(self, work: asyncio.Future[None]) -> bool:
        """Whether `work` was done: it is given up when something is asked, which counts where both come at once."""
        try:
            await self.or_done(work)
            return work.done() and not self._event.is_set()
        finally:
            if not work.done():
                work.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await work
