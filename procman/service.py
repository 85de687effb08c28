"""What a service is: frozen records, made by `procfile` from one file and read by everything else."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from procman.api_route import ApiRoute
from procman.subscription import Subscription

#: A service's name is a DNS label (RFC 1123), because it is also its host; a process's is what Procfiles allow.
SERVICE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
PROCESS_NAME = re.compile(r"[A-Za-z0-9_-]+")

#: Names that belong to the tool itself: hosts of its own, and `stores restart gateway`.
RESERVED_NAMES = frozenset({"stores", "gateway", "api-gateway", "auth", "events", "dns", "all"})


@dataclass(frozen=True, slots=True)
class Process:
    """One line of a Procfile: ``name: command``."""

    name: str
    command: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Ready:
    """When a service answers: an HTTP `path` with a status below 500, a `log` line that matches, else its open port."""

    path: str | None = None
    log: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """One file of ``Procfile.d/``, with every default filled in.

    `hosts` are relative to the workspace's domain (``netshop``, ``*.netshop``). `port` is the fixed one, or None for an
    assigned one. `remote` is an ``https://`` origin, or None where nothing remote may answer. Times are in seconds.
    `env_file` are the files that must be there; None: ``.env`` and ``.env.local``, where they are. `setup` is the
    command that makes the folder ready to run; an empty one means that nothing has to be done. `terminal`: its
    processes are started on one, for `stores attach`. `dir_set`: the file names the folder itself.
    `start`: ``on-request`` lets the first request start it. `idle`: seconds without a request after which it is
    stopped; 0: never. `writes`: whether requests that may change something go to the remote. `rewrite_body`: the media
    types (``text/html``, ``text/*``) of its remote's bodies in which the workspace's own URLs are translated. `api`:
    where it stands behind the API gateway.
    """

    name: str
    file: Path
    dir: Path
    processes: tuple[Process, ...]
    hosts: tuple[str, ...]
    description: str = ""
    repo: str = ""
    port: int | None = None
    remote: str | None = None
    ready: Ready = Ready()
    ready_timeout: float = 60.0
    needs: tuple[str, ...] = ()
    grace: float = 5.0
    stop_signal: str = "SIGTERM"
    restart: str = "on-failure"
    env: dict[str, str] = field(default_factory=dict)
    env_file: tuple[str, ...] | None = None
    setup: str = "make setup"
    terminal: bool = False
    dir_set: bool = False
    start: str = "manual"
    idle: float = 0.0
    writes: str = "allow"
    rewrite_body: tuple[str, ...] = ()
    subscription: Subscription | None = None
    api: ApiRoute | None = None

    @property
    def primary(self) -> Process:
        """The process that the hosts lead to: ``web``, else the first one (as Heroku's router picks it)."""
        return next((process for process in self.processes if process.name == "web"), self.processes[0])
