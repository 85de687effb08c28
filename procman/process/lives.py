"""The lives of one process, one after another: each from its start to the end of all that came of it.

A single task leads them, so there are never two instances of the process. What is asked meanwhile only says what is
wanted (`Standing`), dismisses the present life where that is meant, and wakes the task (`Asked`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections.abc import Iterable

from procman.errors import StoresError
from procman.process import backoff
from procman.process.arrival import Arrival
from procman.process.asked import Asked
from procman.process.floor import Floor
from procman.process.ledger import Entry
from procman.process.life import Life, exit_text
from procman.process.output import Output
from procman.process.plan import Plan
from procman.process.standing import Standing
from procman.state import AT_REST, State

#: So many lines of its output tell why it failed.
LAST_LINES = 5


class Lives:
    """`plan` and `on_terminal` are for the next start; `marked_ready` is set by a process that says so itself."""

    def __init__(self, plan: Plan, output: Output, floor: Floor, standing: Standing, asked: Asked) -> None:
        self.plan = plan
        self.on_terminal = plan.terminal
        self.marked_ready = asyncio.Event()
        self._output = output
        self._floor = floor
        self._standing = standing
        self._asked = asked
        self._life: Life | None = None
        self._task: asyncio.Task[None] | None = None
        self._over = 0
        self._failures = 0

    @property
    def pid(self) -> int | None:
        """The main process of the present life."""
        return self._life.pid if self._life else None

    @property
    def led(self) -> bool:
        """Whether the task works, so that its end has to be waited for."""
        return self._task is not None and not self._task.done()

    # What may be asked of them

    def begin(self, *, urgent: bool = False) -> None:
        """There shall be a life. Ends a pause; waits where one is just being ended. `urgent`: ahead of all others."""
        self._asked.urgent = self._asked.urgent or urgent
        if urgent and self._standing.state is State.QUEUED:
            self._floor.queue.hasten(self._standing.name)
        if self._standing.state is State.STOPPING:
            self._asked.dismissed = True  # it starts as soon as that is over, without a pause
        if self._standing.state is State.BACKOFF:
            self._asked.dismiss()
        self._lead()

    def begin_anew(self) -> None:
        """The present life ends, and another one begins."""
        self._asked.urgent = True
        if self._life or self._standing.state is State.BACKOFF:
            self._asked.dismiss()
        self._lead()

    def adopt(self, entry: Entry) -> None:
        """One was begun by an earlier supervisor. A `pid` of 0: only what came of it is left."""
        self._life = Life.adopt(self._standing.name, entry, self._output, self._floor)
        self._lead()
        self._standing.restarts = entry.restarts

    def dismiss(self) -> None:
        """The present life ends, and nothing comes after it unless it is wanted."""
        if self.led:
            self._asked.dismiss()
        else:
            self._come_to_rest()

    async def until_over(self) -> None:
        """Returns at the end of the present life, whatever comes after it."""
        before = self._over
        await self._floor.bell.until(lambda: self._over != before or self._standing.state in AT_REST)

    # The task

    def _lead(self) -> None:
        if not self.led:
            self._standing.restarts = self._failures = 0
            self._standing.problem = ""
            self._standing.to(State.QUEUED)  # at once: whoever waits for it must not see the rest before
            self._task = self._floor.loop.create_task(self._guarded(), name=self._standing.name)

    async def _guarded(self) -> None:
        """A fault of this program is said once, and leaves no process behind that nobody leads."""
        try:
            await self._one_after_another()
        except Exception as error:  # noqa: BLE001 (whatever it is, no process may be left in an untrue state)
            self._standing.note("a fault of stores itself, please report it:\n" + traceback.format_exc().rstrip())
            life, self._life = self._life, None
            left = await life.kill() if life else ()
            self._floor.queue.leave(self._standing.name)
            self._standing.fail(f"a fault of stores itself: {error!r}" + (f"; PID {left} is left" if left else ""))
        finally:
            self._asked.dismissed = False
            self._over += 1
            self._floor.bell.ring()

    async def _one_after_another(self) -> None:
        """As long as it is wanted."""
        standing = self._standing
        while standing.wanted or self._life:
            if self._life is None:  # what was asked of an adopted one counts for this life
                self._new_life()
                self._life = await self._begin()
                if self._life is None and standing.state is State.FAILED:
                    return
                if self._life is None:
                    continue  # it was asked for something else while it waited
            began = time.monotonic()
            await self._live(self._life)
            leftover = await self._end(self._life)
            self._over += 1
            self._failures = backoff.failures_after(time.monotonic() - began, self._failures)
            if leftover:
                pids = ", ".join(map(str, leftover))
                standing.rest(State.FAILED, f"PID {pids} cannot be ended, not even by SIGKILL")
                return
            if standing.wanted and not self._asked.dismissed and not await self._after_exit():
                return
            if self._asked.dismissed:
                self._failures = 0
        standing.note(f"stopped ({standing.exit})" if standing.exit else "stopped")
        self._come_to_rest()

    def _come_to_rest(self) -> None:
        """Stopped, as it was asked to be; only what cannot be ended stays what it is."""
        if self._life is None:
            self._standing.problem = ""
            self._standing.to(State.STOPPED)

    def _new_life(self) -> None:
        """What was asked before is answered by it; also a wait that was dismissed is over."""
        self._over += self._asked.dismissed
        self._asked.answered()
        self._standing.problem = self._standing.advice = ""
        self._standing.to(State.QUEUED)
        self._floor.bell.ring()

    async def _begin(self) -> Life | None:
        """Waits for its turn, and starts it. None where something else was asked, or it cannot be started."""
        standing = self._standing
        turn = asyncio.ensure_future(self._floor.queue.turn(standing.name, urgent=self._asked.urgent))
        if not await self._asked.unless(turn):
            self._floor.queue.leave(standing.name)
            return None
        plan, self._asked.urgent = self.plan, False
        self.marked_ready.clear()
        standing.forget_the_last_end()
        try:
            life = Life.start(plan, self._output, self._floor, restarts=standing.restarts, on_terminal=self.on_terminal)
        except (StoresError, OSError) as error:
            self._floor.queue.leave(standing.name)
            hint = f"\n{error.hint}" if isinstance(error, StoresError) and error.hint else ""
            standing.note(f"{error}{hint}")
            standing.rest(State.FAILED, str(error), note=False)
            return None
        standing.note(f"started, PID {life.pid}" + (f", port {plan.port}" if plan.port else ""))
        return life

    async def _live(self, life: Life) -> None:
        """From the start to the end of the main process, or until something else is asked."""
        self._standing.to(State.STARTING)
        arrival = Arrival(life, self.plan, self._output, self._floor, self._standing)
        arriving = asyncio.ensure_future(arrival.until_ready())
        try:
            await self._asked.or_done(life.ended)
        finally:
            arriving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await arriving
            self._floor.queue.leave(self._standing.name)

    async def _end(self, life: Life) -> Iterable[int]:
        """Ends what is left of it. Returns what cannot be killed."""
        self._standing.to(State.STOPPING)
        leftover = await life.end(self.plan, self._asked.hurry)
        if not leftover:
            self._standing.exit_code = life.ended.result()
            self._standing.exit = exit_text(self._standing.exit_code)
            self._life = None
        return leftover

    async def _after_exit(self) -> bool:
        """It ended by itself: another life after a pause (True), or rest."""
        policy, failures, standing = self.plan.restart, self._failures, self._standing
        if standing.exit_code == 0 and policy != "always":
            standing.rest(State.EXITED, standing.exit)
            return False
        if policy == "never" or failures >= backoff.FAILURES:
            problem = f"{standing.exit}, {failures} times in a row" if failures > 1 else standing.exit
            standing.rest(State.FAILED, "\n".join([problem, *self._output.last_lines(LAST_LINES)]))
            return False
        pause = backoff.pause_before(failures)
        standing.trouble(f"{standing.exit}; starts again {pause:g} s later")
        standing.to(State.BACKOFF)
        self._asked.forget()
        if await self._asked.unless(asyncio.ensure_future(asyncio.sleep(pause))):
            standing.restarts += 1
        return True
