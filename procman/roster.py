"""All supervised processes of a workspace, by service; kept in step with its files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from procman import plans
from procman.errors import StoresError
from procman.log import StoredLog
from procman.mistake import nearest
from procman.output import Output
from procman.paths import Paths
from procman.plan import Plan
from procman.plans import Circumstances
from procman.process import Floor, Supervised
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
        self._endings: set[asyncio.Task[None]] = set()
        self.follow(workspace)

    def add(self, plan: Plan) -> Supervised:
        """A process with its output, not started yet."""
        output = Output(self._floor.loop, self._paths.pipes / plan.name, StoredLog(self._paths.logs, plan.name))
        output.listeners.add(lambda lines: self._heard(plan.name, lines))
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
            self._remove(self.processes.pop(name))
        for name, (service, process) in wanted.items():
            plan = plans.plan(service, process, workspace, self._circumstances)
            if name in self.processes:
                self.processes[name].plan = plan
            else:
                self.add(plan)

    def _remove(self, process: Supervised) -> None:
        async def end() -> None:
            await process.stop()
            process.output.close()

        task = self._floor.loop.create_task(end())
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

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
        chosen: dict[str, Supervised] = {}
        for target in targets or ["*"]:
            if target == GATEWAY and GATEWAY in self.processes:
                chosen[GATEWAY] = self.processes[GATEWAY]
                continue
            for process in self._expand(target):
                chosen[process.name] = process
        return list(chosen.values())

    def _expand(self, target: str) -> Iterable[Supervised]:
        pattern, _, process = target.partition(".")
        for service in self.workspace.select([pattern]):
            names = [one.name for one in service.processes]
            found = [name for name in names if fnmatchcase(name, process or "*")]
            if not found:
                raise StoresError(
                    f'{service.name} has no process "{process}". {nearest(process, names)}',
                    f"See Procfile.d/{service.name}",
                    exit_code=4,
                )
            for name in found:
                yield self.processes[f"{service.name}.{name}"]

    def shown(self, name: str) -> str:
        """How a process is called in front of its lines: the service alone, where that is clear."""
        service = name.partition(".")[0]
        return service if sum(other.startswith(f"{service}.") for other in self.processes) == 1 else name
