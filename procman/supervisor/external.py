"""A service that was started by hand on its port: found out when somebody asks, and never by asking again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from procman.machine import ports, proc
from procman.process.tree import TAG
from procman.state import State

if TYPE_CHECKING:
    from procman.process.supervised import Supervised

#: Where it may turn out that somebody else runs it, or does so no more.
_LOOKED_AT = frozenset({State.STOPPED, State.FAILED, State.EXITED, State.EXTERNAL})


@dataclass(frozen=True, slots=True)
class Holder:
    """Who listens on a port; `pid` 0: another user's process. `ours`: it was started by a supervisor."""

    pid: int
    start: int
    ours: bool


class Externals:
    """Looks who answers for processes that do not run here."""

    def __init__(self) -> None:
        self._watches: dict[str, tuple[Supervised, Callable[[], None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def probe(self, processes: Iterable[Supervised]) -> None:
        """Sets which of the processes are external now, and which are no more.

        A port that is free costs two system calls; only where one is held, a thread looks for its holder.
        """
        held: list[Supervised] = []
        for process in processes:
            if process.state in _LOOKED_AT and process.plan.port:
                if not ports.is_free(process.plan.port):
                    held.append(process)
                elif process.state is State.EXTERNAL:
                    self._gone(process)
        new = [process for process in held if not self._is_watched(process)]
        if new:
            holders = await asyncio.to_thread(find, {process.plan.port for process in new if process.plan.port})
            for process in new:
                if process.state in _LOOKED_AT:  # it may have been started meanwhile
                    self._found(process, holders.get(process.plan.port or 0, Holder(0, 0, ours=False)))

    def _is_watched(self, process: Supervised) -> bool:
        """Not where another of its name was: its file was removed, and put back."""
        watched = self._watches.get(process.name)
        return watched is not None and watched[0] is process

    def _forget(self, process: Supervised) -> None:
        watched = self._watches.pop(process.name, None)
        if watched:
            watched[1]()

    def _found(self, process: Supervised, holder: Holder) -> None:
        if holder.ours:
            return
        process.run_outside(holder.pid)
        self._forget(process)
        if holder.pid:
            loop = asyncio.get_running_loop()
            forget = proc.on_exit(loop, holder.pid, holder.start, lambda: self._exited(process))
            self._watches[process.name] = process, forget

    def _exited(self, process: Supervised) -> None:
        """The holder is gone; its port may be a child's, or its successor's, by now."""
        self._watches.pop(process.name, None)
        task = asyncio.get_running_loop().create_task(self.probe([process]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _gone(self, process: Supervised) -> None:
        self._forget(process)
        process.run_outside(None)


def find(wanted: set[int]) -> dict[int, Holder]:
    """Who listens on each of the TCP ports, as far as this user may know. To be called in a thread: it takes 30 ms."""
    return {port: holder for port, pid in ports.listeners(wanted).items() if (holder := _holder(pid))}


def _holder(pid: int) -> Holder | None:
    seen = proc.look(pid)
    marker = f"{TAG}=".encode()
    ours = any(part.startswith(marker) for part in proc.environ(pid).split(b"\0"))
    return Holder(pid, seen.start, ours) if seen else None
