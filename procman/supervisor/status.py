"""What the supervisor tells of the workspace at one moment: from its processes and its files, a `Snapshot`."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass

from procman.process import plans
from procman.process.plans import Circumstances
from procman.routes import Route, route_of
from procman.service import Service
from procman.settings import Remote
from procman.snapshot import DnsStatus, GatewayStatus, RemoteStatus, ServiceStatus, Snapshot
from procman.state import State, summary
from procman.supervisor.roster import GATEWAY, Roster


@dataclass(slots=True)
class Fixtures:
    """What stands around the services, as far as others are told of it."""

    http: int = 0
    https: int = 0
    dns: int = 0
    ca_file: str = ""
    mistakes: tuple[str, ...] = ()


def snapshot(roster: Roster, fixtures: Fixtures, circumstances: Circumstances) -> Snapshot:
    """What runs now, and what every reader of it has to know of the settings."""
    workspace, settings = roster.workspace, roster.workspace.settings
    addresses = plans.urls(workspace, fixtures.https)
    return Snapshot(
        workspace=str(workspace.root),
        domain=settings.domain,
        pid=os.getpid(),
        gateway=_gateway(roster, fixtures),
        dns=DnsStatus(fixtures.dns),
        remote=_remote(settings.remote),
        services=tuple(_service(service, roster, fixtures, addresses) for service in workspace.services),
        mistakes=fixtures.mistakes,
        events=dataclasses.replace(settings.events, port=plans.events_port(workspace, circumstances)),
        identities=tuple(settings.identities.values()),
        authorizer=settings.authorizer,
        groups=settings.groups,
    )


def _gateway(roster: Roster, fixtures: Fixtures) -> GatewayStatus:
    process = roster.processes.get(GATEWAY)
    return GatewayStatus(
        fixtures.http,
        fixtures.https,
        fixtures.ca_file,
        process.pid if process else None,
        process.state if process else State.STOPPED,
        roster.workspace.settings.redirect_to_https,
    )


def _remote(remote: Remote) -> RemoteStatus:
    connect_to = tuple(map(str, remote.connect_to))
    return RemoteStatus(remote.domain, connect_to, str(remote.ca or ""), remote.headers, remote.proxy, remote.forbid)


def _service(service: Service, roster: Roster, fixtures: Fixtures, addresses: dict[str, str]) -> ServiceStatus:
    processes = roster.of_service(service.name)
    primary = roster.primary(service.name)
    return ServiceStatus(
        name=service.name,
        state=_state(roster, service),
        route=_route(roster, service),
        wanted=any(process.wanted for process in processes),
        hosts=service.hosts,
        urls=_urls(addresses[service.name], fixtures.http),
        processes=tuple(process.status() for process in processes),
        port=primary.plan.port,
        remote=service.remote,
        description=service.description,
        repo=service.repo,
        file=str(service.file),
        dir=str(service.dir),
        problem=next((process.problem for process in (primary, *processes) if process.problem), ""),
        start=service.start,
        idle=service.idle,
        writes=service.writes,
        rewrite_body=service.rewrite_body,
        ready_timeout=service.ready_timeout,
        subscription=service.subscription,
        api=service.api,
        needs=service.needs,
        advice=primary.advice,
    )


def _state(roster: Roster, service: Service) -> State:
    """Of the processes that are wanted, where any is; else of all, unless somebody else answers for them."""
    processes = roster.of_service(service.name)
    wanted = [process for process in processes if process.wanted]
    if not wanted and roster.primary(service.name).state is State.EXTERNAL:
        return State.EXTERNAL
    return summary([process.state for process in wanted or processes])


def _route(roster: Roster, service: Service) -> Route:
    """What a request may start here does not go to the remote meanwhile; what is not cloned cannot start."""
    primary = roster.primary(service.name)
    starts = service.start == "on-request" and service.dir.is_dir()
    return route_of(primary.state, wanted=primary.wanted, remote=service.remote is not None and not starts)


def _urls(address: str, http: int) -> tuple[str, ...]:
    """With the CA trusted; and the one for whom neither CA nor DNS is set up."""
    port = "" if http == 80 else f":{http}"  # noqa: PLR2004 (http's own port)
    host = address.partition("//")[2].partition(".")[0]
    return (f"{address}/", f"http://{host}.localhost{port}/")
