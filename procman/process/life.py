"""One life of a process: from its start, or its adoption, to the end of all that came of it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable

from procman.machine import proc
from procman.process import spawn
from procman.process.floor import Floor
from procman.process.ledger import Entry
from procman.process.output import Output
from procman.process.plan import Plan
from procman.process.tree import Tree


class Life:
    """A main process with its descendants. `ended` has its exit code, None where nobody here was told of it.

    `entry` is how it was known when it began here. `adopted`: it was started by an earlier supervisor.
    """

    def __init__(self, name: str, entry: Entry, output: Output, floor: Floor, *, adopted: bool = False) -> None:
        self.entry = entry
        self.adopted = adopted
        self.ended: asyncio.Future[int | None] = floor.loop.create_future()
        self._name = name
        self._tree = Tree(entry.pid, entry.start, entry.tag)
        self._output = output
        self._floor = floor
        self._forget: Callable[[], None] = lambda: None

    @classmethod
    def start(cls, plan: Plan, output: Output, floor: Floor, *, restarts: int, on_terminal: bool) -> Life:
        """Starts it, and writes it down. Raises `StoresError` or ``OSError`` where it cannot be started."""
        definition = plan.definition
        tag = str(floor.ledger.tag(plan.name, definition))
        launch = plan.launch(tag)
        output.begun = output.told_to
        writing = output.open_terminal() if on_terminal else output.open()
        try:
            pid = spawn.start(launch, writing, output.terminal.path if output.terminal else "")
        finally:
            os.close(writing)
        seen = proc.look(pid)  # None: it has ended already
        terminal = output.terminal is not None
        start = seen.start if seen else 0
        entry = Entry(pid, start, tag, definition, time.time(), restarts, output.begun, terminal=terminal)
        life = cls(plan.name, entry, output, floor)
        floor.reaper.expect(pid, life._exited)
        floor.ledger.started(plan.name, entry)
        return life

    @classmethod
    def adopt(cls, name: str, entry: Entry, output: Output, floor: Floor) -> Life:
        """It runs already, started by an earlier supervisor. A `pid` of 0: only what came of it is left."""
        life = cls(name, entry, output, floor, adopted=True)
        if entry.pid:
            floor.ledger.entries[name] = entry
            output.begun = entry.position
            if output.terminal is None:
                os.close(output.open())
            if _is_child(entry.pid):  # of the supervisor that this process was before: its exit code will be told
                floor.reaper.expect(entry.pid, life._exited)
                floor.loop.call_soon(floor.reaper.child_ended)  # it may have ended while nobody listened
            else:
                life._forget = proc.on_exit(floor.loop, entry.pid, entry.start, life._exited)
        else:
            life._exited()
        return life

    @property
    def pid(self) -> int | None:
        """The main process."""
        return self.entry.pid or None

    def listening(self) -> set[int]:
        """The TCP ports on which it, or anything that came of it, accepts connections now."""
        return proc.listening(self._tree.members())

    def _exited(self, code: int | None = None) -> None:
        if not self.ended.done():
            self.ended.set_result(code)

    async def end(self, plan: Plan, hurry: asyncio.Event) -> Iterable[int]:
        """Ends what is left of it: everything, where it did not end by itself. Returns what cannot be killed."""
        leftover = await self._tree.end(plan.stop_signal, plan.grace, hurry)
        if not leftover:
            await self.ended
            self._floor.ledger.ended(self._name)
        self._forget()
        self._output.drain()
        return leftover

    async def kill(self) -> Iterable[int]:
        """Ends it without asking. Returns what cannot be killed."""
        return await self._tree.end(signal.SIGKILL, 0.0, asyncio.Event())


def _is_child(pid: int) -> bool:
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def exit_text(code: int | None) -> str:
    """How a process ended, for people."""
    if code is None:
        return "ended (its exit code went to the supervisor before this one)"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"ended by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has only a number
        return f"ended by signal {-code}"
