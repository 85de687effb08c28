"""`stores status`: what runs, what it costs, and what answers each host."""

from __future__ import annotations

import json
import sys
import webbrowser
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlsplit

import typer

from procman import broker_health, client, overview
from procman.cli import status_table
from procman.cli.arguments import Json, Targets
from procman.cli.help import option
from procman.cli.place import Place, here, names
from procman.cost import Meter
from procman.errors import StoresError
from procman.overview import Overview
from procman.routes import Route
from procman.snapshot import DnsStatus, GatewayStatus, ProcessStatus, RemoteStatus, ServiceStatus, Snapshot
from procman.state import State
from procman.workspace import read

#: How long a supervisor that is just starting may take to answer, in seconds.
_PATIENCE = 20.0


def status(
    targets: Targets = None,
    watch: Annotated[bool, option("--watch", help="Go on showing it, until q or Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Show what runs, where, and what answers each host.

    And what it costs: CPU as percent of one core, memory of each whole tree of processes, pages that are shared counted
    once. Exit code 3 when nothing of it runs.

    For example:
      stores status
      stores status netshop
      stores status --watch          until q or Ctrl-C
      stores status --json
    """
    place = here()
    view = View(place, targets or [])
    shown = view.of(snapshot(place))
    if watch and shown.snapshot.pid:
        from procman.cli import status_watch  # noqa: PLC0415 (threads and terminals, only here)

        status_watch.watch(view, shown, as_json=as_json)
        return
    if as_json:
        typer.echo(json.dumps(shown.to_json(), indent=2))
    else:
        sys.stdout.write("\n".join(status_table.lines(shown)) + "\n")
        if not shown.snapshot.pid and place.paths.socket.exists():
            sys.stdout.write(f"{client.KILLED}: {client.TAKE_OVER}\n")
    if not any(service.wanted or service.state is State.EXTERNAL for service in shown.services):
        raise typer.Exit(3)


def open_(
    name: Annotated[
        str | None, typer.Argument(help="The service; none: the dashboard.", autocompletion=names, show_default=False)
    ] = None,
    dashboard: Annotated[bool, option("--dashboard", help="The page that shows and steers everything.")] = False,
    token: Annotated[bool, option("--token", help="Print what opens its HTTP API to programs, instead.")] = False,
) -> None:
    """Open the dashboard, or a service's URL, in the browser.

    The dashboard's link signs the browser in. It is good once, for a minute.

    For example:
      stores open                    the dashboard
      stores open netshop
      curl -H "Authorization: Bearer $(stores open --token)" http://stores.localhost:8080/api/v1/services
    """
    place = here()
    if name is None or dashboard or token:
        from procman.dashboard_client import DashboardClient  # noqa: PLC0415 (http and ssl, only here)

        asking = DashboardClient(place.paths)
        if token:
            typer.echo(asking.token())
            return
        _show(asking.link())
        return
    place.workspace().service(name)
    service = snapshot(place).service(name)
    if service is None or not service.urls:
        raise StoresError(f"Nothing runs, so {name} has no URL", f"Start it: stores run {name}", exit_code=3)
    _show(_reachable(service.urls))


def _reachable(urls: Sequence[str]) -> str:
    """By https where this machine knows the name and trusts the certificate, else the one that needs neither."""
    from procman.dashboard_client import trusted  # noqa: PLC0415 (http and ssl, only here)

    first = urlsplit(urls[0])
    return urls[0] if trusted(first.hostname or "", first.port or 443) else urls[-1]


def _show(url: str) -> None:
    typer.echo(url)
    webbrowser.open(url)


class View:
    """What one `stores status` looks at, and its meter."""

    def __init__(self, place: Place, targets: list[str]) -> None:
        self.place = place
        # a mistake in a file hides nothing of what runs: the snapshot tells of it
        running = client.holder(place.paths) is not None
        self.workspace = read(place.root, place.environ).workspace if running else place.workspace()
        chosen = self.workspace.processes(targets) if targets else []
        self._names = {service.name for service, _ in chosen}
        self._all = not targets
        self._meter = Meter()

    def of(self, now: Snapshot, before: Overview | None = None) -> Overview:
        """The whole picture of a snapshot. With `before` nothing is measured anew."""
        chosen = tuple(service for service in now.services if self._all or service.name in self._names)
        if before:
            return Overview(now, chosen, before.costs, before.setups, before.due, before.events)
        costs = self._meter.measure(now.mains())
        paths = self.place.paths
        setups, due = overview.setups(self.workspace, paths), overview.due(self.workspace, paths, now)
        return Overview(now, chosen, costs, setups, due, broker_health.look(now) if self._all else None)


def snapshot(place: Place) -> Snapshot:
    """From the supervisor that runs, else what the files say."""
    if not client.wait_for_supervisor(place.paths, lambda: client.holder(place.paths) is not None, _PATIENCE):
        if client.holder(place.paths) is not None:
            raise StoresError(
                f"The supervisor, PID {client.holder(place.paths)}, does not answer",
                f"See {place.paths.supervisor_log}",
            )
        return _at_rest(place)
    try:
        return Snapshot.from_json(client.answer(place.paths, "status"))
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
