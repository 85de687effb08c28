"""One process through all its lives: started, ready, restarted with growing pauses, stopped with all that came of it.

A single task leads each process, so there are never two instances of it: what is asked meanwhile only sets what is
wanted, and wakes the task.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from procman import proc, spawn
from procman.bell import Bell
from procman.errors import StoresError
from procman.ledger import Entry, Ledger
from procman.output import Output
from procman.plan import Plan
from procman.queue import StartQueue
from procman.snapshot import ProcessStatus
from procman.state import ALIVE, AT_REST, BROKEN, State, move
from procman.tree import Tree

#: The pause before a restart doubles from the first to the longest, in seconds.
FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 30.0

#: So many failures in a row end in `failed`; a life of STABLE_AFTER seconds begins the count anew.
FAILURES = 6
STABLE_AFTER = 10.0


@dataclass(frozen=True, slots=True)
class Floor:
    """What all processes stand on."""

    loop: asyncio.AbstractEventLoop
    ledger: Ledger
    reaper: spawn.Reaper
    queue: StartQueue
    bell: Bell
    note: Callable[[str, str], None]


class Supervised:
    """One process. `want`, `stop` and `restart` may be called at any time, in any state."""

    def __init__(self, plan: Plan, output: Output, floor: Floor) -> None:
        self.plan = plan
        self.output = output
        self.state = State.STOPPED
        self.wanted = False
        self.exit = ""
        self.exit_code: int | None = None
        self.problem = ""
        self.restarts = 0
        self.since = time.time()
        self._floor = floor
        self._tree: Tree | None = None
        self._ended: asyncio.Future[int | None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._asked = asyncio.Event()
        self._hurry = asyncio.Event()
        self._again = False
        self._failures = 0
        self._grace: float | None = None
        self._adopted_since = 0.0
        self._marked_ready = asyncio.Event()

    @property
    def name(self) -> str:
        """``service.process``."""
        return self.plan.name

    @property
    def pid(self) -> int | None:
        """The main process, while there is one."""
        return self._tree.pid if self._tree and self.state in ALIVE else None

    @property
    def started_at(self) -> float:
        """The process's `start` (see `Seen`), for whoever wants to measure it; 0 when there is none."""
        return self._tree.start if self._tree else 0

    def status(self) -> ProcessStatus:
        """For a snapshot: the name within its service."""
        name = self.name.partition(".")[2] or self.name
        return ProcessStatus(
            name, self.state, self.pid, self.plan.port, self.restarts, self.since, self.exit, self.problem
        )

    def want(self) -> None:
        """It shall run. Does nothing where it does; ends a pause; waits where it is just being stopped."""
        self.wanted = True
        self._again = self._again or self.state is State.STOPPING
        if self.state is State.BACKOFF:
            self._asked.set()
        self._lead()

    def adopt(self, entry: Entry) -> None:
        """It runs already, started by an earlier supervisor."""
        self.wanted = True
        self._adopted_since = entry.since
        self._tree = Tree(entry.pid, entry.start, entry.tag)
        os.close(self.output.open())
        self._ended = self._floor.loop.create_future()
        proc.on_exit(self._floor.loop, entry.pid, entry.start, lambda: self._exited(None))
        self._lead()
        self.restarts = entry.restarts

    def _lead(self) -> None:
        if self._task is None or self._task.done():
            self.restarts = self._failures = 0
            self._to(State.QUEUED)  # at once: whoever waits for it must not see the rest before
            self._task = self._floor.loop.create_task(self._lives(), name=self.name)

    async def stop(self, grace: float | None = None) -> None:
        """Returns when it and everything that came of it is gone."""
        self.wanted = False
        self._again = False
        self._grace = grace
        self._asked.set()
        await self._floor.bell.until(lambda: self.wanted or self.state in AT_REST)
        if not self.wanted:
            self._to(State.STOPPED)

    def restart(self) -> None:
        """Stops it, and starts it again; `until_settled` waits for the end of both."""
        self.wanted = True
        self._again = self.state in ALIVE
        if self.state in {*ALIVE, State.BACKOFF}:
            self._asked.set()
        self._lead()

    def hurry(self) -> None:
        """Whatever is being ended is killed now."""
        self._hurry.set()

    def mark_ready(self) -> None:
        """It has said itself that it is ready (the gateway does)."""
        self._marked_ready.set()

    async def until_marked(self, output: Output) -> None:  # noqa: ARG002 (a `readiness.Ready`)
        """The readiness of a process that says so itself."""
        await self._marked_ready.wait()

    async def until_settled(self) -> None:
        """Returns when it is ready, or at rest, or went wrong, or takes longer than its `ready_timeout`."""
        await self._floor.bell.until(
            lambda: not self._again and (self.state in {State.READY, *AT_REST, *BROKEN} or bool(self.problem))
        )

    # The task

    async def _lives(self) -> None:
        """One life after another, as long as it is wanted."""
        while self.wanted:
            self._asked.clear()
            self._hurry.clear()
            if self._tree is None and not await self._begin():
                break
            began = time.monotonic()
            await self._live()
            leftover = await self._end()
            self._failures = 1 if time.monotonic() - began > STABLE_AFTER else self._failures + 1
            if not await self._go_on(leftover):
                break
            self.restarts += 1
        if self.state is State.QUEUED:
            self._to(State.STOPPED)

    async def _begin(self) -> bool:
        """Waits for its turn, and starts it. False where it was stopped meanwhile, or cannot be started."""
        self._to(State.QUEUED)  # again, after an earlier life
        turn = asyncio.ensure_future(self._floor.queue.turn(self.name))
        if not await self._unless_asked(turn):
            self._to(State.STOPPED)
            return False
        self.problem, self._grace = "", None
        try:
            self._spawn()
        except (StoresError, OSError) as error:
            self._floor.queue.leave(self.name)
            self.problem = str(error)
            self.exit = ""
            self._note(self.problem + (f"\n{error.hint}" if isinstance(error, StoresError) and error.hint else ""))
            self._to(State.FAILED)
            return False
        return True

    async def _unless_asked(self, work: asyncio.Future[None]) -> bool:
        """Waits for `work`, or gives it up when something else is asked."""
        asked = asyncio.ensure_future(self._asked.wait())
        either: set[asyncio.Future[Any]] = {work, asked}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            return work.done() and not work.cancelled()
        finally:
            asked.cancel()
            if not work.done():
                work.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await work

    def _spawn(self) -> None:
        tag = f"{self._floor.ledger.run_id}/{self.name}"
        launch = self.plan.launch(tag)
        self._marked_ready.clear()
        output = self.output.open()
        try:
            pid = spawn.start(launch, output)
        finally:
            os.close(output)
        self._ended = self._floor.loop.create_future()
        self._floor.reaper.expect(pid, self._exited)
        seen = proc.look(pid)
        self._tree = Tree(pid, seen.start if seen else 0, tag)
        self._floor.ledger.note(
            self.name, Entry(pid, self._tree.start, tag, self.plan.definition, time.time(), self.restarts)
        )
        self.exit, self.exit_code = "", None
        self._note(f"started, PID {pid}" + (f", port {self.plan.port}" if self.plan.port else ""))

    def _exited(self, code: int | None) -> None:
        if self._ended and not self._ended.done():
            self._ended.set_result(code)

    async def _live(self) -> None:
        """From the start to the end of the main process, or until something else is asked."""
        assert self._ended is not None
        self._to(State.STARTING)
        readiness = asyncio.ensure_future(self._become_ready())
        asked = asyncio.ensure_future(self._asked.wait())
        either: set[asyncio.Future[Any]] = {self._ended, asked}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
            readiness.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await readiness
            self._floor.queue.leave(self.name)

    async def _become_ready(self) -> None:
        try:
            async with asyncio.timeout(self.plan.ready_timeout):
                await self.plan.ready(self.output)
        except TimeoutError:
            self.problem = f"not ready after {self.plan.ready_timeout:g} s: waits {self.plan.waits_for}"
            self._note(self.problem)
            self._floor.queue.leave(self.name)
            self._floor.bell.ring()
            await self.plan.ready(self.output)
        self.problem = ""
        self._floor.queue.leave(self.name)
        self._to(State.READY)
        self.since, self._adopted_since = self._adopted_since or self.since, 0.0

    async def _end(self) -> Iterable[int]:
        """Ends what is left of it, which is everything when it was asked to stop. Returns what cannot be killed."""
        assert self._tree is not None
        assert self._ended is not None
        self._to(State.STOPPING)
        grace = self.plan.grace if self._grace is None else self._grace
        leftover = await self._tree.end(self.plan.stop_signal, grace, self._hurry)
        if not leftover:
            self._how_it_ended(await self._ended)
            self._floor.ledger.strike(self.name)
        self.output.drain()
        self._tree = None
        return leftover

    def _how_it_ended(self, code: int | None) -> None:
        self.exit_code = code
        if code is None:
            self.exit = "ended (its exit code went to the supervisor before this one)"
        elif code < 0:
            self.exit = f"ended by {signal.Signals(-code).name}"
        else:
            self.exit = f"exit code {code}"

    async def _go_on(self, leftover: Iterable[int]) -> bool:
        """What follows a life: another one, now or after a pause, or rest."""
        if leftover:
            self.problem = f"PID {', '.join(map(str, leftover))} cannot be ended, not even by SIGKILL"
            self._note(self.problem)
            self._to(State.FAILED)
            return False
        if not self.wanted:
            self._note(f"stopped ({self.exit})")
            self._to(State.STOPPED)
            return False
        if self._again:
            self._again, self._failures = False, 0
            return True
        return await self._after_exit(self._failures)

    async def _after_exit(self, failures: int) -> bool:
        policy = self.plan.restart
        if self.exit_code == 0 and policy != "always":
            self._rest(State.EXITED, self.exit)
            return False
        if policy == "never" or failures >= FAILURES:
            self._rest(State.FAILED, f"{self.exit}, {failures} times in a row" if failures > 1 else self.exit)
            return False
        pause = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** (failures - 1))
        self.problem = f"{self.exit}; starts again {pause:g} s later"
        self._note(self.problem)
        self._asked.clear()
        self._to(State.BACKOFF)
        await self._unless_asked(asyncio.ensure_future(asyncio.sleep(pause)))
        if not self.wanted:
            self._to(State.STOPPED)
        return self.wanted

    def _rest(self, state: State, problem: str) -> None:
        self.problem = problem if state is State.FAILED else ""
        self._note(problem)
        self._to(state)

    def _to(self, state: State) -> None:
        if state is not self.state:
            self.state = move(self.state, state)
            self.since = time.time()
            self._floor.bell.ring()

    def _note(self, text: str) -> None:
        self._floor.note(self.name, text)
