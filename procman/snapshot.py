"""What runs at one moment, as the supervisor tells it: to the gateway, to every command, to ``status --json``.

The supervisor is the only writer. A snapshot is whole (never a difference), so a reader that missed some needs only the
newest. It travels as one line of JSON; the names of the fields are the names in that JSON.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from procman.api_route import ApiRoute
from procman.authorizer_settings import AuthorizerSettings
from procman.event_settings import EventSettings
from procman.identity import Identity
from procman.routes import Route
from procman.state import State
from procman.subscription import Subscription


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process. `since`: when it entered its state (epoch seconds, for people); `exit`: how it last ended."""

    name: str
    state: State
    pid: int | None = None
    port: int | None = None
    restarts: int = 0
    since: float = 0.0
    exit: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One registered service, whether it runs or not.

    `wanted` says that somebody started it here. `port` is the one that requests go to, on ::1 or 127.0.0.1. `hosts` are
    relative to the domain. `remote` is the origin that answers while nothing runs here, or None. `advice`: what it has
    to set, as its own answers to requests said.
    """

    name: str
    state: State
    route: Route
    wanted: bool
    hosts: tuple[str, ...]
    urls: tuple[str, ...]
    processes: tuple[ProcessStatus, ...]
    port: int | None = None
    remote: str | None = None
    description: str = ""
    repo: str = ""
    file: str = ""
    dir: str = ""
    problem: str = ""
    subscription: Subscription | None = None
    start: str = "manual"
    idle: float = 0.0
    writes: str = "allow"
    rewrite_body: tuple[str, ...] = ()
    ready_timeout: float = 60.0
    api: ApiRoute | None = None
    needs: tuple[str, ...] = ()
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """What only a look at the machine tells of one service: asked for by the page that says why it does not answer.

    `setup`: a word of `setup_record.Setup`; `setup_command` is what would be run. `waits_for`: what a start waits for.
    `holder`: who else listens on its port. `listening`: where its own processes do, ``127.0.0.1:5173``.
    """

    setup: str = "none"
    setup_command: str = ""
    waits_for: str = ""
    holder: str = ""
    listening: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Findings:
        """From ``dataclasses.asdict``'s result. Raises ``TypeError`` or ``KeyError`` for anything else."""
        return cls(**{**value, "listening": tuple(value["listening"])})


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """The gateway's ports, the CA that its certificates come from, and its process.

    `redirect`: whether plain HTTP below the domain is sent to HTTPS.
    """

    http: int = 0
    https: int = 0
    ca_file: str = ""
    pid: int | None = None
    state: State = State.STOPPED
    redirect: bool = False


@dataclass(frozen=True, slots=True)
class DnsStatus:
    """The resolver's port on 127.0.0.1 and ::1, UDP and TCP."""

    port: int = 0


@dataclass(frozen=True, slots=True)
class RemoteStatus:
    """How the remote is reached: rules of ``--connect-to``, and a CA to trust beside the public ones.

    `headers` name where secrets are had from, and hold none.
    """

    domain: str = ""
    connect_to: tuple[str, ...] = ()
    ca: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    proxy: str = ""
    forbid: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole workspace. `mistakes` are the ones in its files now; the last good state is in force.

    `events`: the broker's settings, with the port on which it listens.
    """

    workspace: str
    domain: str
    pid: int
    gateway: GatewayStatus
    dns: DnsStatus
    remote: RemoteStatus
    services: tuple[ServiceStatus, ...]
    mistakes: tuple[str, ...] = ()
    events: EventSettings = field(default_factory=EventSettings)
    identities: tuple[Identity, ...] = ()
    authorizer: AuthorizerSettings = field(default_factory=AuthorizerSettings)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def service(self, name: str) -> ServiceStatus | None:
        """The service of that name, if it is registered."""
        return next((service for service in self.services if service.name == name), None)

    def mains(self) -> dict[str, int]:
        """The main process of everything that runs here, by name; the supervisor's is ``stores``."""
        found = {
            f"{service.name}.{process.name}": process.pid
            for service in self.services
            for process in service.processes
            if process.pid
        }
        if self.gateway.pid:
            found["gateway"] = self.gateway.pid
        return {**found, "stores": self.pid} if self.pid else found

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return dataclasses.asdict(self)

    def to_line(self) -> bytes:
        """One line of JSON, its newline included."""
        return json.dumps(self.to_json(), separators=(",", ":")).encode() + b"\n"

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Snapshot:
        """From `to_json`'s result. Raises ``KeyError``, ``TypeError`` or ``ValueError`` for anything else."""
        return cls(
            workspace=value["workspace"],
            domain=value["domain"],
            pid=value["pid"],
            gateway=GatewayStatus(**{**value["gateway"], "state": State(value["gateway"]["state"])}),
            dns=DnsStatus(**value["dns"]),
            remote=_remote(value["remote"]),
            services=tuple(map(_service, value["services"])),
            mistakes=tuple(value["mistakes"]),
            events=EventSettings.from_json(value["events"]) if "events" in value else EventSettings(),
            identities=tuple(map(Identity.from_json, value.get("identities", ()))),
            authorizer=AuthorizerSettings.from_json(value["authorizer"])
            if "authorizer" in value
            else AuthorizerSettings(),
            groups={name: tuple(members) for name, members in value.get("groups", {}).items()},
        )


def _remote(value: dict[str, Any]) -> RemoteStatus:
    lists = {name: tuple(value[name]) for name in ("connect_to", "forbid")}
    return RemoteStatus(**{**value, **lists})


def _service(value: dict[str, Any]) -> ServiceStatus:
    processes = tuple(ProcessStatus(**{**item, "state": State(item["state"])}) for item in value["processes"])
    known = {
        "state": State(value["state"]),
        "route": Route(value["route"]),
        "hosts": tuple(value["hosts"]),
        "urls": tuple(value["urls"]),
        "processes": processes,
        "rewrite_body": tuple(value.get("rewrite_body", ())),
        "needs": tuple(value.get("needs", ())),
        "subscription": Subscription.from_json(value["subscription"]) if value.get("subscription") else None,
        "api": ApiRoute.from_json(value["api"]) if value.get("api") else None,
    }
    return ServiceStatus(**{**value, **known})
