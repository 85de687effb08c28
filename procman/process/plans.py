"""From a service's file to the plans of its processes: which command, where, with which port and environment."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from procman.environment import directory, env_file, frameworks, variables
from procman.environment.doorway import Doorway
from procman.environment.variables import Layers
from procman.errors import StoresError
from procman.machine import ports
from procman.machine.ports import Ports
from procman.process import readiness, spawn
from procman.process.plan import Plan
from procman.process.readiness import Ready
from procman.process.spawn import Launch
from procman.process.tree import TAG
from procman.service import Process, Service
from procman.workspace import Workspace


@dataclass(slots=True)
class Circumstances:
    """What a service's environment depends on besides its file; filled in while the supervisor starts."""

    environ: dict[str, str]
    ports: Ports
    https: int = 443
    added: dict[str, str] = field(default_factory=dict)
    cache: Path | None = None


def name_of(service: Service, process: Process) -> str:
    """How a process is called everywhere: ``netshop.web``."""
    return f"{service.name}.{process.name}"


def urls(workspace: Workspace, https: int) -> dict[str, str]:
    """The URL of each service, by its first host that is no wildcard."""
    found = {}
    for service in workspace.services:
        host = next((host for host in service.hosts if not host.startswith("*.")), service.name)
        found[service.name] = variables.url(host, workspace.settings.domain, https)
    return found


def port_of(service: Service, process: Process, workspace: Workspace, assigned: Ports) -> int:
    """The fixed port for the process that requests go to, an assigned one for every other (as foreman counts them)."""
    if service.port and process is service.primary:
        return service.port
    fixed = {other.port for other in workspace.services if other.port}
    return assigned.of(name_of(service, process), fixed)


def events_port(workspace: Workspace, circumstances: Circumstances) -> int:
    """Where the event broker listens: the port of stores.toml, else an assigned one."""
    fixed = {other.port for other in workspace.services if other.port}
    return workspace.settings.events.port or circumstances.ports.of("events", fixed)


def plan(service: Service, process: Process, workspace: Workspace, circumstances: Circumstances) -> Plan:
    """The plan of one process."""
    port = port_of(service, process, workspace, circumstances.ports)
    ready, waits_for = _ready(service, process, workspace, port)
    return Plan(
        name=name_of(service, process),
        launch=_launch(service, process, workspace, circumstances, port),
        define=lambda: definition(service, process, port, workspace.settings.events.port),
        ready=ready,
        waits_for=waits_for,
        ready_timeout=service.ready_timeout,
        restart=service.restart,
        grace=service.grace,
        stop_signal=signal.Signals[service.stop_signal],
        port=port,
        port_awaited=process is service.primary and not service.ready.log,
        terminal=service.terminal,
    )


def definition(service: Service, process: Process, port: int, events: int | None) -> str:
    """A fingerprint of all that a running process was started with: another one means that a restart is due.

    `events`: the event broker's port, if stores.toml sets one; an assigned one stays.
    """
    facts = [process.command, str(service.dir), port, sorted(service.env.items()), env_file.fingerprint(service)]
    return hashlib.sha256(json.dumps([*facts, events] if events else facts).encode()).hexdigest()[:16]


def _ready(service: Service, process: Process, workspace: Workspace, port: int) -> tuple[Ready, str]:
    if process is not service.primary:
        return readiness.settled, "to live a moment"
    if service.ready.path:
        host = f"{service.name}.{workspace.settings.domain}"
        return readiness.http(port, service.ready.path, host), f"for GET {service.ready.path} on port {port}"
    if service.ready.log:
        return readiness.log(service.ready.log), f"for a line of output like {service.ready.log}"
    return readiness.port(port), f"for its port {port} ($PORT) to open"


def _launch(
    service: Service, process: Process, workspace: Workspace, circumstances: Circumstances, port: int
) -> Callable[[str], Launch]:
    def launch(tag: str) -> Launch:
        if not service.dir.is_dir():
            clone = (
                f"Get it: git clone {service.repo} {service.dir}" if service.repo else "Clone it there, or set dir = …"
            )
            raise StoresError(f"there is no folder {service.dir}", clone)
        if not ports.is_free(port):
            raise StoresError(
                f"{service.name} needs port {port}, which is held by {ports.holder(port)}",
                f"End that, or set another port = … in Procfile.d/{service.name}",
            )
        parts = layers(service, process, workspace, port, circumstances)
        settings = workspace.settings
        if settings.shell != "never" and directory.tools(service.dir, parts.shell):
            doorway = Doorway(parts, service.dir, circumstances.cache, settings.shell_timeout)
            return Launch(doorway.command(spawn.script(process.command)), service.dir, {**doorway.environ(), TAG: tag})
        return Launch(process.command, service.dir, {**parts.merged(), TAG: tag})

    return launch


def layers(service: Service, process: Process, workspace: Workspace, port: int, circumstances: Circumstances) -> Layers:
    """The environment of a process, the tag left out. Raises `StoresError` for a mistake in a ``.env`` file."""
    shell = variables.base(circumstances.environ)
    above = told(service, process, workspace, port, circumstances)
    return Layers(env_file.load(service, {**shell, **above}), shell, above)


def told(
    service: Service, process: Process, workspace: Workspace, port: int, circumstances: Circumstances
) -> dict[str, str]:
    """What a process is told whichever shell it is started from; the service's own ``env`` has the last word."""
    return {
        **circumstances.added,
        **variables.of_service(service.name, process.name, port, urls(workspace, circumstances.https)),
        **frameworks.variables(workspace.settings.domain, service.hosts, port),
        **variables.of_gateway(workspace.settings.domain, circumstances.https),
        "STORES_EVENTS_URL": f"http://127.0.0.1:{events_port(workspace, circumstances)}",
        **service.env,
    }
