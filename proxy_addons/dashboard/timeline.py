"""When which process came into which state: the marks on the time line of requests and events."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

from procman.snapshot import ProcessStatus, Snapshot
from proxy_addons.dashboard.message import Request
from proxy_addons.dashboard.stream import Say
from proxy_addons.view import Current

#: Marks that are kept.
_MOST: Final = 500


class Timeline:
    """Begins with the last change of each process, and follows from its making on."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._view = current.view
        known = sorted(_processes(self._view.snapshot).items(), key=lambda pair: pair[1].since)
        self._marks: deque[dict[str, Any]] = deque(
            (_mark(name, process, "") for name, process in known if process.since), _MOST
        )
        self._count = len(self._marks)
        self._following = asyncio.create_task(self._follow())

    def close(self) -> None:
        """Follows no more."""
        self._following.cancel()

    async def _follow(self) -> None:
        while True:
            await self._current.next()
            before, now = _processes(self._view.snapshot), _processes(self._current.view.snapshot)
            self._view = self._current.view
            for name, process in now.items():
                old = before.get(name)
                if old is None or (old.state, old.since, old.pid) != (process.state, process.since, process.pid):
                    self._marks.append(_mark(name, process, old.state if old else ""))
                    self._count += 1

    async def follow(self, say: Say, _: Request) -> None:
        """``states``: those that are kept, and then the new ones."""
        told = 0
        while True:
            new = min(self._count - told, len(self._marks))
            told = self._count
            if new:
                await say("states", {"marks": list(self._marks)[-new:]})
            elif told == self._count:
                await self._current.next()
                await asyncio.sleep(0)  # whoever marks was told at the same moment


def _processes(snapshot: Snapshot) -> dict[str, ProcessStatus]:
    return {f"{service.name}.{process.name}": process for service in snapshot.services for process in service.processes}


def _mark(name: str, process: ProcessStatus, before: str) -> dict[str, Any]:
    return {
        "at": process.since,
        "name": name,
        "state": process.state,
        "before": before,
        "exit": process.exit,
        "problem": process.problem,
        "restarts": process.restarts,
    }
