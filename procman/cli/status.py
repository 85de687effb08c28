"""`stores status`: what runs, what it costs, and what answers each host."""

from __future__ import annotations

import json
import sys
import webbrowser
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlsplit

import typer

from procman.cli import status_table
from procman.cli.arguments import Json, Targets
from procman.cli.help import option
from procman.cli.place import here, names
from procman.cli.status_view import View, snapshot
from procman.clients import supervisor
from procman.errors import StoresError
from procman.state import State


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
            sys.stdout.write(f"{supervisor.KILLED}: {supervisor.TAKE_OVER}\n")
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
        from procman.clients.dashboard import DashboardClient  # noqa: PLC0415 (http and ssl, only here)

        asking = DashboardClient(place.paths)
        if token:
            typer.echo(asking.token())
            return
        _show(asking.link())
        return
    service = snapshot(place).service(name)
    if service is None:
        place.workspace().service(name)  # says what is wrong with the name
    if service is None or not service.urls:
        raise StoresError(f"Nothing runs, so {name} has no URL", f"Start it: stores run {name}", exit_code=3)
    _show(_reachable(service.urls))


def _reachable(urls: Sequence[str]) -> str:
    """By https where this machine knows the name and trusts the certificate, else the one that needs neither."""
    from procman.clients.dashboard import trusted  # noqa: PLC0415 (http and ssl, only here)

    first = urlsplit(urls[0])
    return urls[0] if trusted(first.hostname or "", first.port or 443) else urls[-1]


def _show(url: str) -> None:
    typer.echo(url)
    webbrowser.open(url)
