"""The starts that requests asked for: one a service at a time, however many ask."""

from __future__ import annotations

import asyncio
import contextlib

from procman.errors import StoresError
from proxy_addons.supervisor import Supervisor


class Starts:
    """Keeps the question to the supervisor open until it is answered; who asked may leave meanwhile."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._running: dict[str, asyncio.Task[None]] = {}

    def begin(self, name: str, *, again: bool = False) -> asyncio.Task[None]:
        """The start of `name` that is under way, or a new one. `again`: a running service is stopped first."""
        running = self._running.get(name)
        if running is None:
            running = asyncio.get_running_loop().create_task(self._supervisor.start(name, again=again))
            self._running[name] = running
            running.add_done_callback(lambda task: self._over(name, task))
        return running

    def _over(self, name: str, task: asyncio.Task[None]) -> None:
        del self._running[name]
        # Looked at here, so that asyncio does not report what every page says already.
        with contextlib.suppress(StoresError, asyncio.CancelledError):
            task.result()
