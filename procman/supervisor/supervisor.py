"""The supervisor: what runs, what is asked of it, and what it tells. The only writer of what is running."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from procman.errors import StoresError
from procman.machine import ports
from procman.process import plans
from procman.process.bell import Bell
from procman.process.plans import Circumstances
from procman.process.supervised import Supervised
from procman.service import Service
from procman.snapshot import Snapshot
from procman.state import AT_REST, BROKEN, State
from procman.supervisor import status
from procman.supervisor.external import Externals
from procman.supervisor.roster import GATEWAY, Roster
from procman.supervisor.status import Fixtures


@dataclass(slots=True)
class Supervisor:
    """The verbs. Each returns when what was asked has happened, or raises `StoresError` with what did not."""

    roster: Roster
    bell: Bell
    circumstances: Circumstances
    fixtures: Fixtures = field(default_factory=Fixtures)
    down: asyncio.Event = field(default_factory=asyncio.Event)
    #: This process is to become the supervisor of the code that is on the disk now; what it supervises lives on.
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    hearers: set[Callable[[str, bytes], None]] = field(default_factory=set)
    ending: bool = False
    externals: Externals = field(default_factory=Externals)

    async def start(self, targets: Sequence[str], *, needs: bool = True, urgent: bool = False) -> list[Supervised]:
        """Starts what the targets mean, each service after those that it needs are ready. Returns the processes.

        `urgent`: somebody waits for just these, so they come before all that is queued.
        """
        self.refuse_while_ending()
        chosen = self.roster.select(targets)
        named = {process.name.partition(".")[0] for process in chosen if process.name != GATEWAY}
        services = self._named(named)
        before = self.roster.workspace.with_needs(services) if needs else tuple(services)
        await self.externals.probe(self.roster.primary(service.name) for service in before)
        tasks: dict[str, asyncio.Task[None]] = {}
        for service in before:  # each stands after what it needs
            wanted = [process for process in chosen if process.name.startswith(f"{service.name}.")]
            wanted = wanted or self.roster.of_service(service.name)
            wanted = [process for process in wanted if process.state is not State.EXTERNAL]  # it answers already
            waits = {need: tasks[need] for need in service.needs if need in tasks}
            if any(not task.done() for task in waits.values()):
                for process in wanted:
                    process.wait_for(", ".join(waits))
            tasks[service.name] = asyncio.create_task(self._bring_up(service, wanted, waits, urgent=urgent))
        gateway = self.roster.processes[GATEWAY]
        if gateway in chosen:
            gateway.want()
        if gateway.wanted:  # what is started is there when requests for it are answered
            tasks[GATEWAY] = asyncio.create_task(gateway.until_settled())
        problems = [_said(result) for result in await asyncio.gather(*tasks.values(), return_exceptions=True) if result]
        if problems:
            raise StoresError("\n".join(problems), _hint(services, targets))
        await self._refuse_external(chosen, targets, "End that one first; as long as it runs, requests go to it")
        return chosen

    async def _refuse_external(self, chosen: Iterable[Supervised], targets: Sequence[str], hint: str) -> None:
        """Whoever named a process that was started by hand is told whose it is; whoever said `all` did not mean it."""
        named = [
            process
            for process in chosen
            if process.state is State.EXTERNAL and {process.name, process.name.partition(".")[0]} & set(targets)
        ]
        if named:
            said = await asyncio.gather(*(asyncio.to_thread(ports.holder, process.plan.port or 0) for process in named))
            lines = [
                f"{process.name} was started by hand, and not here: its port {process.plan.port} is held by {holder}"
                for process, holder in zip(named, said, strict=True)
            ]
            raise StoresError("\n".join(lines), hint)

    async def probe(self, targets: Sequence[str]) -> list[Supervised]:
        """Looks whether somebody else answers for the targets' services. Returns the processes that requests go to."""
        names = dict.fromkeys(process.name.partition(".")[0] for process in self.roster.select(targets))
        primaries = [self.roster.primary(name) for name in names if name != GATEWAY]
        await self.externals.probe(primaries)
        return primaries

    async def _bring_up(
        self, service: Service, processes: list[Supervised], waits: dict[str, asyncio.Task[None]], *, urgent: bool
    ) -> None:
        for need, task in waits.items():
            try:
                await asyncio.shield(task)
            except StoresError as error:
                for process in processes:
                    process.give_up(f"needs {need}, and {error.message}")
                raise StoresError(f"{service.name} was not started, because it needs {need}") from error
        if waits:  # it may have been stopped while it waited
            processes = [process for process in processes if process.wanted and not self.ending]
        for process in processes:
            process.want(urgent=urgent)
        for process in processes:
            await process.until_settled()
        for process in processes:
            if process.state in BROKEN or process.problem:
                raise StoresError(f"{process.name}: {process.problem or process.state}")
            if not process.wanted:
                raise StoresError(f"{process.name} was stopped before it was ready")

    async def stop(self, targets: Sequence[str]) -> list[Supervised]:
        """Stops what the targets mean; returns when all of it is gone, descendants included."""
        chosen = self.roster.select(targets)
        await self.externals.probe(process for process in chosen if process.name != GATEWAY)
        await asyncio.gather(*(process.stop() for process in chosen))
        left = [f"{process.name}: {process.problem}" for process in chosen if process.state is State.FAILED]
        if left:
            raise StoresError("\n".join(["Not all of it could be ended", *left]), "See why: stores status")
        await self._refuse_external(chosen, targets, "End it where it was started")
        return chosen

    async def sleep(self, name: str) -> str:
        """Stops a service that nobody uses. Returns why it stays, or an empty text when it is gone.

        What another one needs that runs, and what runs on a terminal (for a debugger), is used.
        """
        for other in self.roster.workspace.services:
            if name in other.needs and self.roster.primary(other.name).state not in AT_REST:
                return f"{other.name} needs it"
        processes = self.roster.of_service(name)
        if any(process.output.terminal for process in processes):
            return "it runs on a terminal"
        await self.stop([name])
        return ""

    async def restart(self, targets: Sequence[str]) -> list[Supervised]:
        """Restarts what the targets mean and no other; without targets, all that is wanted."""
        self.refuse_while_ending()
        chosen = self.roster.select(targets) if targets else self.running()
        await self.externals.probe(process for process in chosen if process.name != GATEWAY)
        await self._refuse_external(chosen, targets, "End it where it was started, then: stores start")
        chosen = [process for process in chosen if process.state is not State.EXTERNAL]
        for process in chosen:
            process.restart()
        await asyncio.gather(*(process.until_settled() for process in chosen))
        failed = [
            f"{process.name}: {process.problem}" for process in chosen if process.state in BROKEN or process.problem
        ]
        if failed:
            named = {process.name.partition(".")[0] for process in chosen}
            raise StoresError("\n".join(failed), _hint(self._named(named), targets))
        return chosen

    def concerned(self, targets: Sequence[str], *, needs: bool = False) -> set[str]:
        """The processes that whoever asks for `targets` wants to hear of; with `needs`, what comes before them too."""
        names = {process.name for process in self.roster.select(targets)}
        if needs:
            services = self._named({name.partition(".")[0] for name in names})
            needed = self.roster.workspace.with_needs(services)
            names.update(process.name for service in needed for process in self.roster.of_service(service.name))
            names.add(GATEWAY)
        return names

    def _named(self, names: Collection[str]) -> list[Service]:
        return [service for service in self.roster.workspace.services if service.name in names]

    def refuse_while_ending(self) -> None:
        """Raises `StoresError` where nothing is to begin any more."""
        if self.ending:
            raise StoresError("The supervisor is just ending", "Start it again when it is gone: stores up -d")

    def running(self) -> list[Supervised]:
        """The services' processes that somebody started."""
        return [process for process in self.roster.services() if process.wanted]

    async def end(self) -> None:
        """Ends everything, the gateway last, so that its page can tell of the others' end. Nothing starts any more."""
        self.ending = True
        for process in self.roster.services():
            process.dismiss()
        await asyncio.gather(*(process.stop() for process in self.roster.services()), self.roster.endings())
        if GATEWAY in self.roster.processes:
            await self.roster.processes[GATEWAY].stop()

    def hurry(self) -> None:
        """A second Ctrl-C: all of it is killed now."""
        self.roster.hurry()

    def told(self, target: str) -> dict[str, str]:
        """What a process is told by this tool: its port, the others' URLs, the CA."""
        service, process = self.roster.workspace.process(target)
        port = plans.port_of(service, process, self.roster.workspace, self.circumstances.ports)
        return plans.told(service, process, self.roster.workspace, port, self.circumstances)

    def snapshot(self) -> Snapshot:
        """What runs at this moment."""
        return status.snapshot(self.roster, self.fixtures, self.circumstances)


def _hint(services: Iterable[Service], targets: Sequence[str]) -> str:
    """What to type where some of it did not start: what has no folder wrote nothing that one could read."""
    absent = [service.name for service in services if not service.dir.is_dir()]
    if absent:
        return f"Get it: stores clone {' '.join(absent)}"
    return f"See what it wrote: stores logs {' '.join(targets)}".rstrip()


def _said(result: object) -> str:
    """What a start that failed has to say; all but a `StoresError` is a fault of this program, and keeps its name."""
    return str(result) if isinstance(result, StoresError) else repr(result)
