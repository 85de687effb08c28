"""One process through all its lives: started, ready, restarted with growing pauses, stopped with all that came of it.

A single task leads each process, so there are never two instances of it: what is asked meanwhile only says what is
wanted, dismisses the present life where that is meant, and wakes the task.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections.abc import Iterable
from typing import Any

from procman import backoff
from procman.errors import StoresError
from procman.floor import Floor
from procman.ledger import Entry, Rest
from procman.life import Life, exit_text
from procman.output import Output
from procman.plan import Plan
from procman.snapshot import ProcessStatus
from procman.state import ALIVE, AT_REST, BROKEN, State, move

#: So many lines of its output tell why it failed.
LAST_LINES = 5


class Supervised:
    """One process. `want`, `dismiss`, `stop` and `restart` may be called at any time, in any state."""

    def __init__(self, plan: Plan, output: Output, floor: Floor) -> None:
        self.plan = plan
        self.output = output
        self.state = State.STOPPED
        self.wanted = False
        self.exit = ""
        self.exit_code: int | None = None
        self.problem = ""
        self.advice = ""
        self.restarts = 0
        self.since = time.time()
        self.on_terminal = plan.terminal
        self.external: int | None = None
        self._floor = floor
        self._life: Life | None = None
        self._task: asyncio.Task[None] | None = None
        self._asked = asyncio.Event()
        self._hurry = asyncio.Event()
        self._dismissed = False
        self._urgent = False
        self._lives_over = 0
        self._failures = 0
        self._adopted: Entry | None = None
        self._marked_ready = asyncio.Event()

    @property
    def name(self) -> str:
        """``service.process``."""
        return self.plan.name

    def follow(self, plan: Plan) -> None:
        """Its file has changed. What runs goes on; the new plan is for its next start."""
        if plan.terminal != self.plan.terminal:
            self.on_terminal = plan.terminal
        self.plan = plan

    @property
    def pid(self) -> int | None:
        """The main process, while there is one; or the one that somebody started by hand in its place."""
        if self.state is State.EXTERNAL:
            return self.external or None
        return self._life.pid if self._life and self.state in ALIVE else None

    def status(self) -> ProcessStatus:
        """For a snapshot: the name within its service."""
        name = self.name.partition(".")[2] or self.name
        return ProcessStatus(
            name, self.state, self.pid, self.plan.port, self.restarts, self.since, self.exit, self.problem
        )

    # What may be asked of it

    def want(self, *, urgent: bool = False) -> None:
        """It shall run. Does nothing where it does; ends a pause; waits where it is just being stopped.

        `urgent`: somebody waits for this very one, so it is not queued behind the others.
        """
        self._wish(wanted=True)
        self._urgent = self._urgent or urgent
        if urgent and self.state is State.QUEUED:
            self._floor.queue.hasten(self.name)
        if self.state is State.STOPPING:
            self._dismissed = True  # it starts as soon as that is over, without a pause
        if self.state is State.BACKOFF:
            self._dismiss_now()
        self._lead()

    def wait_for(self, whom: str) -> None:
        """It shall run once `whom` is ready; until then it is queued, and says so."""
        if self._task is None or self._task.done():
            self._wish(wanted=True)
            self.exit, self.exit_code, self.problem = "", None, ""
            self._to(State.QUEUED)
            self._note(f"waits for {whom}")

    def give_up(self, problem: str) -> None:
        """What it needs will not come."""
        if self.state is State.QUEUED and (self._task is None or self._task.done()):
            self._rest(State.FAILED, problem)

    def restart(self) -> None:
        """Stops it, and starts it again; `until_settled` waits for the end of both."""
        self._wish(wanted=True)
        self._urgent = True
        if self._life or self.state is State.BACKOFF:
            self._dismiss_now()
        self._lead()

    def run_outside(self, pid: int | None) -> None:
        """Its port is held by a process that was not started here; 0: whose, cannot be known; None: no longer."""
        if self._task and not self._task.done():
            return
        self.external = pid
        self.advice = self.advice if self.state is State.EXTERNAL and pid is not None else ""
        if pid is not None:
            self._wish(wanted=False)
            self.exit, self.exit_code, self.problem = "", None, ""
            self._to(State.EXTERNAL)
        elif self.state is State.EXTERNAL:
            self._to(State.STOPPED)

    def dismiss(self) -> None:
        """It shall run no longer. `until_gone` waits for the end."""
        if self.state is State.EXTERNAL:
            return  # not ours to end
        self._wish(wanted=False)
        if self._task is None or self._task.done():
            self._come_to_rest()
        else:
            self._dismiss_now()

    async def stop(self) -> None:
        """Returns when it and everything that came of it is gone, whatever is asked of it meanwhile."""
        self.dismiss()
        life = self._lives_over
        await self._floor.bell.until(lambda: self._lives_over != life or self.state in AT_REST)

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
            lambda: not self._dismissed and (self.state in {State.READY, *AT_REST, *BROKEN} or bool(self.problem))
        )

    def advise(self, advice: str) -> None:
        """Something to set before it answers as it should: said in its own log, and kept for this life."""
        if advice != self.advice and (self.state in ALIVE or self.state is State.EXTERNAL):
            self.advice = advice
            self.output.say(advice)
            self._floor.bell.ring()

    # What an earlier supervisor left

    def adopt(self, entry: Entry) -> None:
        """It runs already, started by an earlier supervisor. A `pid` of 0: only what came of it is left."""
        self.wanted = True
        self._adopted = entry
        self._life = Life.adopt(self.name, entry, self.output, self._floor)
        self._lead()
        self.restarts = entry.restarts

    def rest_as(self, rest: Rest) -> None:
        """It had come to rest already under an earlier supervisor."""
        self.wanted = True
        self.exit, self.exit_code, self.problem = rest.exit, rest.exit_code, rest.problem
        self.state = State(rest.state)

    # The task

    def _wish(self, *, wanted: bool) -> None:
        self.wanted = wanted
        self._floor.ledger.want(self.name, wanted=wanted)

    def _dismiss_now(self) -> None:
        self._dismissed = True
        self._asked.set()

    def _lead(self) -> None:
        if self._task is None or self._task.done():
            self.restarts = self._failures = 0
            self.problem = ""
            self._to(State.QUEUED)  # at once: whoever waits for it must not see the rest before
            self._task = self._floor.loop.create_task(self._guarded(), name=self.name)

    async def _guarded(self) -> None:
        """A fault of this program is said once, and leaves no process behind that nobody leads."""
        try:
            await self._lives()
        except Exception as error:  # noqa: BLE001 (whatever it is, no process may be left in an untrue state)
            self._note("a fault of stores itself, please report it:\n" + traceback.format_exc().rstrip())
            life, self._life = self._life, None
            left = await life.kill() if life else ()
            self._floor.queue.leave(self.name)
            self.problem = f"a fault of stores itself: {error!r}" + (f"; PID {left} is left" if left else "")
            self.state, self.since = State.FAILED, time.time()
        finally:
            self._dismissed = False
            self._lives_over += 1
            self._floor.bell.ring()

    async def _lives(self) -> None:
        """One life after another, as long as it is wanted."""
        while self.wanted or self._life:
            if self._life is None:  # what was asked of an adopted one counts for this life
                self._new_life()
                self._life = await self._begin()
                if self._life is None and self.state is State.FAILED:
                    return
                if self._life is None:
                    continue  # it was asked for something else while it waited
            began = time.monotonic()
            await self._live(self._life)
            leftover = await self._end(self._life)
            self._lives_over += 1
            self._failures = backoff.failures_after(time.monotonic() - began, self._failures)
            if leftover:
                self._rest(State.FAILED, f"PID {', '.join(map(str, leftover))} cannot be ended, not even by SIGKILL")
                return
            if self.wanted and not self._dismissed and not await self._after_exit():
                return
            if self._dismissed:
                self._failures = 0
        self._note(f"stopped ({self.exit})" if self.exit else "stopped")
        self._come_to_rest()

    def _new_life(self) -> None:
        """What was asked before is answered by it; also a wait that was dismissed is over."""
        self._lives_over += self._dismissed
        self._dismissed = False
        self._asked.clear()
        self._hurry.clear()
        self.problem = self.advice = ""
        self._to(State.QUEUED)
        self._floor.bell.ring()

    async def _begin(self) -> Life | None:
        """Waits for its turn, and starts it. None where something else was asked, or it cannot be started."""
        turn = asyncio.ensure_future(self._floor.queue.turn(self.name, urgent=self._urgent))
        if not await self._unless_asked(turn):
            return None
        self._urgent = False
        self._marked_ready.clear()
        self.exit, self.exit_code = "", None
        try:
            life = Life.start(self.plan, self.output, self._floor, restarts=self.restarts, on_terminal=self.on_terminal)
        except (StoresError, OSError) as error:
            self._floor.queue.leave(self.name)
            hint = f"\n{error.hint}" if isinstance(error, StoresError) and error.hint else ""
            self._note(f"{error}{hint}")
            self._rest(State.FAILED, str(error), note=False)
            return None
        self._note(f"started, PID {life.pid}" + (f", port {self.plan.port}" if self.plan.port else ""))
        return life

    async def _unless_asked(self, work: asyncio.Future[None]) -> bool:
        """Waits for `work`, or gives it up when something else is asked."""
        asked = asyncio.ensure_future(self._asked.wait())
        either: set[asyncio.Future[Any]] = {work, asked}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if work.done() and self._asked.is_set():
                self._floor.queue.leave(self.name)  # both at once: what was asked counts
            return work.done() and not self._asked.is_set()
        finally:
            asked.cancel()
            if not work.done():
                work.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await work

    async def _live(self, life: Life) -> None:
        """From the start to the end of the main process, or until something else is asked."""
        self._to(State.STARTING)
        readiness = asyncio.ensure_future(self._become_ready())
        asked = asyncio.ensure_future(self._asked.wait())
        either: set[asyncio.Future[Any]] = {life.ended, asked}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
            readiness.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await readiness
            self._floor.queue.leave(self.name)

    async def _become_ready(self) -> None:
        adopted, self._adopted = self._adopted, None
        if not (adopted and adopted.ready):
            try:
                await self._readiness()
            except Exception as error:  # noqa: BLE001 (the process runs all the same: that is what has to be said)
                self.problem = f"whether it is ready cannot be found out: {error!r}"
                self._note(self.problem)
                self._floor.queue.leave(self.name)
                self._floor.bell.ring()
                return
        self.problem = ""
        self._floor.queue.leave(self.name)
        self._floor.ledger.became_ready(self.name)
        self._to(State.READY)
        if adopted:
            self.since = adopted.since

    async def _readiness(self) -> None:
        try:
            async with asyncio.timeout(self.plan.ready_timeout):
                await self.plan.ready(self.output)
                return
        except TimeoutError:
            self.problem = f"not ready after {self.plan.ready_timeout:g} s: waits {self.plan.waits_for}"
            self._note(self.problem)
            self._floor.queue.leave(self.name)
            self._floor.bell.ring()
        await self.plan.ready(self.output)

    async def _end(self, life: Life) -> Iterable[int]:
        """Ends what is left of it. Returns what cannot be killed."""
        self._to(State.STOPPING)
        leftover = await life.end(self.plan, self._hurry)
        if not leftover:
            self.exit_code = life.ended.result()
            self.exit = exit_text(self.exit_code)
            self._life = None
        return leftover

    async def _after_exit(self) -> bool:
        """It ended by itself: another life after a pause (True), or rest."""
        policy, failures = self.plan.restart, self._failures
        if self.exit_code == 0 and policy != "always":
            self._rest(State.EXITED, self.exit)
            return False
        if policy == "never" or failures >= backoff.FAILURES:
            problem = f"{self.exit}, {failures} times in a row" if failures > 1 else self.exit
            self._rest(State.FAILED, "\n".join([problem, *self.output.last_lines(LAST_LINES)]))
            return False
        pause = backoff.pause_before(failures)
        self.problem = f"{self.exit}; starts again {pause:g} s later"
        self._note(self.problem)
        self._to(State.BACKOFF)
        self._asked.clear()
        if await self._unless_asked(asyncio.ensure_future(asyncio.sleep(pause))):
            self.restarts += 1
        return True

    def _rest(self, state: State, problem: str, *, note: bool = True) -> None:
        self.problem = problem if state is State.FAILED else ""
        if note:
            self._note(problem)
        self._floor.ledger.rested(self.name, Rest(str(state), self.exit, self.exit_code, self.problem))
        self._to(state)

    def _come_to_rest(self) -> None:
        """Stopped, as it was asked to be; only what cannot be ended stays what it is."""
        if self._life is None:
            self.problem = ""
            self._to(State.STOPPED)

    def _to(self, state: State) -> None:
        if state is not self.state:
            self.state = move(self.state, state)
            self.since = time.time()
            self._floor.bell.ring()

    def _note(self, text: str) -> None:
        self._floor.note(self.name, text)
