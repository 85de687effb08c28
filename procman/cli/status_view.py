"""What `stores status` looks at: the snapshot that is told, or what the files say, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from procman.cli.place import Place
from procman.clients import broker_health, overview, supervisor
from procman.clients.overview import Overview
from procman.errors import StoresError
from procman.machine.cost import Meter
from procman.routes import Route
from procman.snapshot import DnsStatus, GatewayStatus, ProcessStatus, RemoteStatus, ServiceStatus, Snapshot
from procman.state import State
from procman.workspace import read

#: How long a supervisor that is just starting may take to answer, in seconds.
_PATIENCE = 20.0


class View:
    """What one `stores status` looks at, and its meter."""

    def __init__(self, place: Place, targets: list[str]) -> None:
        self.place = place
        # a mistake in a file hides nothing of what runs: the snapshot tells of it
        running = supervisor.holder(place.paths) is not None
        self.workspace = read(place.root, place.environ).workspace if running else place.workspace()
        self._targets = targets
        self._meter = Meter()

    def of(self, now: Snapshot, before: Overview | None = None) -> Overview:
        """The whole picture of a snapshot. With `before` nothing is measured anew."""
        chosen = tuple(self._chosen(now)) if self._targets else now.services
        if before:
            return Overview(now, chosen, before.costs, before.setups, before.due, before.events)
        costs = self._meter.measure(now.mains())
        paths = self.place.paths
        setups, due = overview.setups(self.workspace, paths), overview.due(self.workspace, paths, now)
        return Overview(now, chosen, costs, setups, due, None if self._targets else broker_health.look(now))

    def _chosen(self, now: Snapshot) -> Iterator[ServiceStatus]:
        """What the targets mean among what the supervisor knows. Raises `StoresError` for one that means nothing."""
        meant: set[str] = set()
        for target in self._targets:
            pattern, _, process = target.partition(".")
            group = now.groups.get(pattern, ())
            found = {
                service.name
                for service in now.services
                if (service.name in group or fnmatchcase(service.name, pattern))
                and any(fnmatchcase(one.name, process or "*") for one in service.processes)
            }
            meant |= found or {service.name for service, _ in self.workspace.processes([target])}
        return (service for service in now.services if service.name in meant)


def snapshot(place: Place) -> Snapshot:
    """From the supervisor that runs, else what the files say."""
    if not supervisor.wait_for_supervisor(place.paths, lambda: supervisor.holder(place.paths) is not None, _PATIENCE):
        if supervisor.holder(place.paths) is not None:
            raise StoresError(
                f"The supervisor, PID {supervisor.holder(place.paths)}, does not answer",
                f"See {place.paths.supervisor_log}",
            )
        return _at_rest(place)
    try:
        return Snapshot.from_json(supervisor.answer(place.paths, "status"))
    except (KeyError, TypeError, ValueError) as error:
        raise StoresError(
            "What runs here speaks another version's language", "Start it anew: stores down, then stores up -d"
        ) from error


def _at_rest(place: Place) -> Snapshot:
    """What there is to say while nothing runs: what is registered."""
    workspace = place.workspace()
    services = tuple(
        ServiceStatus(
            name=service.name,
            state=State.STOPPED,
            route=Route.FALLBACK,
            wanted=False,
            hosts=service.hosts,
            urls=(),
            processes=tuple(ProcessStatus(process.name, State.STOPPED) for process in service.processes),
            remote=service.remote,
            description=service.description,
            repo=service.repo,
            file=str(service.file),
            dir=str(service.dir),
        )
        for service in workspace.services
    )
    from certs.folder import CaFolder  # noqa: PLC0415 (a room of its own; only here)

    ca_file = CaFolder(place.paths.ca(workspace.settings.domain)).ca_file
    gateway = GatewayStatus(ca_file=str(ca_file) if ca_file.exists() else "")
    remote = RemoteStatus(workspace.settings.remote.domain)
    return Snapshot(str(workspace.root), workspace.settings.domain, 0, gateway, DnsStatus(), remote, services)
