"""One process as everybody else knows it: what may be asked of it, and what it says of itself."""

from __future__ import annotations

from procman.process.asked import Asked
from procman.process.floor import Floor
from procman.process.ledger import Entry, Rest
from procman.process.lives import Lives
from procman.process.output import Output
from procman.process.plan import Plan
from procman.process.standing import Standing
from procman.snapshot import ProcessStatus
from procman.state import ALIVE, AT_REST, BROKEN, State


class Supervised:
    """One process. `want`, `dismiss`, `stop` and `restart` may be called at any time, in any state."""

    def __init__(self, plan: Plan, output: Output, floor: Floor) -> None:
        self.output = output
        self._floor = floor
        self._standing = Standing(plan.name, floor)
        self._asked = Asked()
        self._lives = Lives(plan, output, floor, self._standing, self._asked)
        self._external: int | None = None

    @property
    def plan(self) -> Plan:
        """How it is run at its next start."""
        return self._lives.plan

    def follow(self, plan: Plan) -> None:
        """Its file has changed. What runs goes on; the new plan is for its next start."""
        if plan.terminal != self.plan.terminal:
            self._lives.on_terminal = plan.terminal
        self._lives.plan = plan

    def take_terminal(self) -> None:
        """It is started on one from here on, whatever its file says."""
        self._lives.on_terminal = True

    # What it says of itself

    @property
    def name(self) -> str:
        """``service.process``."""
        return self._standing.name

    @property
    def state(self) -> State:
        """Where it stands."""
        return self._standing.state

    @property
    def wanted(self) -> bool:
        """Whether somebody started it, and nobody stopped it."""
        return self._standing.wanted

    @property
    def problem(self) -> str:
        """What is wrong, also while it runs; empty where nothing is."""
        return self._standing.problem

    @property
    def advice(self) -> str:
        """What to set before it answers as it should."""
        return self._standing.advice

    @property
    def exit(self) -> str:
        """How it last ended, for people."""
        return self._standing.exit

    @property
    def exit_code(self) -> int | None:
        """The same as a number, below 0 for a signal. None: not known, or it has not ended."""
        return self._standing.exit_code

    @property
    def pid(self) -> int | None:
        """The main process, while there is one; or the one that somebody started by hand in its place."""
        if self.state is State.EXTERNAL:
            return self._external or None
        return self._lives.pid if self.state in ALIVE else None

    def status(self) -> ProcessStatus:
        """For a snapshot: the name within its service."""
        now = self._standing
        name = self.name.partition(".")[2] or self.name
        return ProcessStatus(name, now.state, self.pid, self.plan.port, now.restarts, now.since, now.exit, now.problem)

    # What may be asked of it

    def want(self, *, urgent: bool = False) -> None:
        """It shall run. Does nothing where it does; ends a pause; waits where it is just being stopped.

        `urgent`: somebody waits for this very one, so it is not queued behind the others.
        """
        self._standing.want(wanted=True)
        self._lives.begin(urgent=urgent)

    def wait_for(self, whom: str) -> None:
        """It shall run once `whom` is ready; until then it is queued, and says so."""
        if not self._lives.led:
            self._standing.want(wanted=True)
            self._standing.forget_the_last_end()
            self._standing.to(State.QUEUED)
            self._standing.note(f"waits for {whom}")

    def give_up(self, problem: str) -> None:
        """What it needs will not come."""
        if self.state is State.QUEUED and not self._lives.led:
            self._standing.rest(State.FAILED, problem)

    def restart(self) -> None:
        """Stops it, and starts it again; `until_settled` waits for the end of both."""
        self._standing.want(wanted=True)
        self._lives.begin_anew()

    def run_outside(self, pid: int | None) -> None:
        """Its port is held by a process that was not started here; 0: whose, cannot be known; None: no longer."""
        if self._lives.led:
            return
        self._external = pid
        if self.state is not State.EXTERNAL or pid is None:
            self._standing.advice = ""
        if pid is not None:
            self._standing.want(wanted=False)
            self._standing.forget_the_last_end()
            self._standing.to(State.EXTERNAL)
        elif self.state is State.EXTERNAL:
            self._standing.to(State.STOPPED)

    def dismiss(self) -> None:
        """It shall run no longer. `stop` waits for the end."""
        if self.state is State.EXTERNAL:
            return  # not ours to end
        self._standing.want(wanted=False)
        self._lives.dismiss()

    async def stop(self) -> None:
        """Returns when it and everything that came of it is gone, whatever is asked of it meanwhile."""
        self.dismiss()
        await self._lives.until_over()

    def hurry(self) -> None:
        """Whatever is being ended is killed now."""
        self._asked.hurry.set()

    def mark_ready(self) -> None:
        """It has said itself that it is ready (the gateway does)."""
        self._lives.marked_ready.set()

    async def until_marked(self, output: Output) -> None:  # noqa: ARG002 (a `readiness.Ready`)
        """The readiness of a process that says so itself."""
        await self._lives.marked_ready.wait()

    async def until_settled(self) -> None:
        """Returns when it is ready, or at rest, or went wrong, or takes longer than its `ready_timeout`."""
        settled = {State.READY, *AT_REST, *BROKEN}
        await self._floor.bell.until(
            lambda: not self._asked.dismissed and (self.state in settled or bool(self.problem))
        )

    def advise(self, advice: str) -> None:
        """Something to set before it answers as it should: said in its own log, and kept for this life."""
        if advice != self.advice and (self.state in ALIVE or self.state is State.EXTERNAL):
            self._standing.advice = advice
            self.output.say(advice)
            self._floor.bell.ring()

    # What an earlier supervisor left

    def adopt(self, entry: Entry) -> None:
        """It runs already, started by an earlier supervisor. A `pid` of 0: only what came of it is left."""
        self._standing.wanted = True
        self._lives.adopt(entry)

    def rest_as(self, rest: Rest) -> None:
        """It had come to rest already under an earlier supervisor."""
        self._standing.rest_as(rest)
