"""A snapshot with all that the supervisor does not know itself: cost, setup, and whether a restart is due."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from procman.clients.broker_health import BrokerHealth
from procman.event_settings import shown
from procman.paths import Paths
from procman.preparation.setup_record import Setup, SetupRecords
from procman.process import plans
from procman.snapshot import ServiceStatus, Snapshot
from procman.workspace import Workspace

if TYPE_CHECKING:
    from procman.machine.cost import Cost


@dataclass(frozen=True, slots=True)
class Overview:
    """`costs` are by ``service.process``, ``gateway`` and ``stores`` (the supervisor); `due` are names of processes.

    `events`: how the event broker is; None where it does not run.
    """

    snapshot: Snapshot
    services: tuple[ServiceStatus, ...]
    costs: Mapping[str, Cost] = field(default_factory=dict)
    setups: Mapping[str, Setup] = field(default_factory=dict)
    due: frozenset[str] = frozenset()
    events: BrokerHealth | None = None

    def cost(self, name: str) -> tuple[float, int] | None:
        """CPU percent and bytes of a process, or of a whole service; None where it does not run."""
        found = [cost for key, cost in self.costs.items() if key == name or key.startswith(f"{name}.")]
        return (round(sum(cost.cpu for cost in found), 1), sum(cost.memory for cost in found)) if found else None

    def elsewhere(self, service: ServiceStatus) -> tuple[int, ...]:
        """The ports on which a running service listens instead of its own; empty where it listens there, or nowhere."""
        found = {
            port for key, cost in self.costs.items() if key.startswith(f"{service.name}.") for port in cost.listening
        }
        own = {process.port for process in service.processes}
        return () if found & own else tuple(sorted(found))

    def to_json(self) -> dict[str, Any]:
        """The snapshot's JSON; processes, services, gateway and supervisor with ``cpu`` and ``memory``.

        ``events`` has the broker's settings with ``status`` (null: it does not run) and ``problems``.
        """
        value = self.snapshot.to_json()
        value["events"]["engine"] = shown(self.snapshot.events.engine)
        value["events"]["status"] = self.events.status if self.events else None
        value["events"]["problems"] = self.events.problems if self.events else {}
        value["services"] = [self._service(service) for service in self.services]
        value["gateway"] |= self._costs("gateway")
        value["supervisor"] = {"pid": self.snapshot.pid, **self._costs("stores")}
        return value

    def _service(self, service: ServiceStatus) -> dict[str, Any]:
        value = dataclasses.asdict(service) | self._costs(service.name)
        value["setup"] = self.setups.get(service.name, Setup.NONE)
        for process in value["processes"]:
            name = f"{service.name}.{process['name']}"
            known = self.costs.get(name)
            process.update(
                self._costs(name), listening=list(known.listening) if known else [], restart_due=name in self.due
            )
        return value

    def _costs(self, name: str) -> dict[str, float | int | None]:
        cpu, memory = self.cost(name) or (None, None)
        return {"cpu": cpu, "memory": memory}


def setups(workspace: Workspace, paths: Paths) -> dict[str, Setup]:
    """How each service's folder stands."""
    records = SetupRecords(paths.state / "setup.json")
    return {service.name: records.of(service) for service in workspace.services}


def due(workspace: Workspace, paths: Paths, snapshot: Snapshot) -> frozenset[str]:
    """The running processes whose file, or .env files, have changed since they were started."""
    try:
        started = json.loads(paths.ledger.read_bytes())["processes"]
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()
    running = snapshot.mains()
    found = set()
    for service, process in workspace.processes([]):
        name = plans.name_of(service, process)
        port = next((one.port for one in _processes(snapshot, service.name) if one.name == process.name), None)
        if name not in running or name not in started or not port:
            continue
        if started[name].get("definition") != plans.definition(service, process, port, workspace.settings.events.port):
            found.add(name)
    return frozenset(found)


def _processes(snapshot: Snapshot, service: str) -> tuple[Any, ...]:
    found = snapshot.service(service)
    return found.processes if found else ()
