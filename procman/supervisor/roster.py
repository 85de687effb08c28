"""All supervised processes of a workspace, by service; kept in step with its files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from procman.log import StoredLog
from procman.paths import Paths
from procman.preparation.setup_record import SetupRecords
from procman.process import plans
from procman.process.floor import Floor
from procman.process.output import Output
from procman.process.plan import Plan
from procman.process.plans import Circumstances
from procman.process.supervised import Supervised
from procman.workspace import Workspace

GATEWAY = "gateway"


class Roster:
    """The processes. Made for every registered service, also for those that nobody starts."""

    def __init__(
        self,
        workspace: Workspace,
        paths: Paths,
        floor: Floor,
        circumstances: Circumstances,
        heard: Callable[[str, bytes], None],
    ) -> None:
        self.workspace = workspace
        self.processes: dict[str, Supervised] = {}
        self._paths = paths
        self._floor = floor
        self._circumstances = circumstances
        self._heard = heard
        self._leaving: dict[str, Supervised] = {}
        self._endings: dict[asyncio.Task[None], Callable[[], None]] = {}
        self.follow(workspace)

    @property
    def setups(self) -> SetupRecords:
        """When each service's folder was set up."""
        return SetupRecords(self._paths.state / "setup.json")

    def add(self, plan: Plan) -> Supervised:
        """A process with its output, not started yet."""
        output = Output(self._floor.loop, self._paths.pipes / plan.name, StoredLog(self._paths.logs, plan.name))
        output.listeners.add(lambda lines: self._heard(plan.name, lines))
        output.on_problem = lambda problem: self._floor.note(plan.name, problem)
        self.processes[plan.name] = Supervised(plan, output, self._floor)
        return self.processes[plan.name]

    def follow(self, workspace: Workspace) -> None:
        """The files have changed. What runs goes on; a changed definition is taken at its next start."""
        self.workspace = workspace
        wanted = {
            plans.name_of(service, process): (service, process)
            for service in workspace.services
            for process in service.processes
        }
        for name in [name for name in self.processes if name not in wanted and name != GATEWAY]:
            process = self._leaving[name] = self.processes.pop(name)
            self.see_off(name, self._remove(process), process.hurry)
        for name, (service, process_line) in wanted.items():
            plan = plans.plan(service, process_line, workspace, self._circumstances)
            if name in self._leaving:  # its file came back before it was gone: still one process, never two
                self.processes[name] = self._leaving.pop(name)
            if name in self.processes:
                self.processes[name].follow(plan)
            else:
                self.add(plan)

    async def _remove(self, process: Supervised) -> None:
        await process.stop()
        if self._leaving.pop(process.name, None):
            process.output.close()

    def see_off(self, name: str, ending: Coroutine[Any, Any, object], hurry: Callable[[], None]) -> None:
        """Something that belongs to no registered process any more comes to its end; `hurry` kills it."""

        async def see() -> None:
            left = await ending
            if left:
                self._floor.note(name, f"cannot be ended: PID {left}")

        task = self._floor.loop.create_task(see())
        self._endings[task] = hurry
        task.add_done_callback(self._endings.pop)

    async def endings(self) -> None:
        """Returns when all that was seen off is gone."""
        await asyncio.gather(*self._endings, return_exceptions=True)

    def hurry(self) -> None:
        """Whatever is being ended is killed now."""
        for process in self.processes.values():
            process.hurry()
        for hurry in tuple(self._endings.values()):
            hurry()

    def services(self) -> list[Supervised]:
        """Every process of a service: the gateway is none."""
        return [process for process in self.processes.values() if process.name != GATEWAY]

    def of_service(self, name: str) -> list[Supervised]:
        """A service's processes, in the order of its file."""
        service = self.workspace.service(name)
        return [self.processes[plans.name_of(service, process)] for process in service.processes]

    def primary(self, name: str) -> Supervised:
        """The process that a service's hosts lead to."""
        service = self.workspace.service(name)
        return self.processes[plans.name_of(service, service.primary)]

    def select(self, targets: Sequence[str]) -> list[Supervised]:
        """The processes that targets mean: ``netshop``, ``netshop.worker``, a group, a glob, ``gateway``. None: all."""
        services = [target for target in targets if target != GATEWAY]
        found = self.workspace.processes(services) if services or not targets else []
        chosen = [self.processes[plans.name_of(service, process)] for service, process in found]
        return chosen if len(services) == len(targets) else [*chosen, self.processes[GATEWAY]]

    def give_terminals(self) -> dict[str, int]:
        """Our sides of the processes' terminals, by name. They outlive an exec from here on."""
        found = {name: process.output.terminal for name, process in self.processes.items()}
        given = {name: terminal.number for name, terminal in found.items() if terminal is not None}
        for number in given.values():
            os.set_inheritable(number, True)
        return given

    def take_terminal(self, name: str, number: int) -> None:
        """One that was given by the supervisor that this process was before."""
        os.set_inheritable(number, False)
        if (process := self.processes.get(name)) is None:
            os.close(number)
        else:
            process.output.take_terminal(number)
            process.take_terminal()

    def shown(self, name: str) -> str:
        """How a process is called in front of its lines: the service alone, where that is clear."""
        service = name.partition(".")[0]
        return service if sum(other.startswith(f"{service}.") for other in self.processes) == 1 else name
