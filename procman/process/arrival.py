"""How a life comes to be ready: what is waited for, how long, and what is said meanwhile."""

from __future__ import annotations

import asyncio

from procman.process import readiness
from procman.process.floor import Floor
from procman.process.life import Life
from procman.process.output import Output
from procman.process.plan import Plan
from procman.process.standing import Standing
from procman.state import State


class Arrival:
    """Of one life, which began with this plan."""

    def __init__(self, life: Life, plan: Plan, output: Output, floor: Floor, standing: Standing) -> None:
        self._life = life
        self._plan = plan
        self._output = output
        self._floor = floor
        self._standing = standing

    async def until_ready(self) -> None:
        """Returns once it is ready, or nobody can find out. Who ends the life cancels it."""
        standing = self._standing
        if not self._life.entry.ready:
            try:
                await self._wait()
            except Exception as error:  # noqa: BLE001 (the process runs all the same: that is what has to be said)
                self._floor.queue.leave(standing.name)
                standing.trouble(f"whether it is ready cannot be found out: {error!r}")
                return
        standing.problem = standing.advice = ""
        self._floor.queue.leave(standing.name)
        self._floor.ledger.became_ready(standing.name)
        standing.to(State.READY)
        if self._life.adopted:
            standing.since = self._life.entry.since

    async def _wait(self) -> None:
        looking = self._floor.loop.create_task(self._look_elsewhere())
        try:
            async with asyncio.timeout(self._plan.ready_timeout):
                await self._plan.ready(self._output)
                return
        except TimeoutError:
            self._floor.queue.leave(self._standing.name)
            self._standing.trouble(f"not ready after {self._plan.ready_timeout:g} s: waits {self._plan.waits_for}")
        finally:
            looking.cancel()  # and not waited for: what ends as soon as it is ready has been ready
        await self._plan.ready(self._output)

    async def _look_elsewhere(self) -> None:
        """Says it once where it listens on another port than the one that is waited for; that does not end the wait."""
        if self._plan.port and self._plan.port_awaited:
            self._standing.advice = await readiness.elsewhere(self._plan.name, self._plan.port, self._life.listening)
            self._output.say(self._standing.advice)
            self._floor.bell.ring()
