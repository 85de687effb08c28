"""Verbs that only look."""

from __future__ import annotations

import re
import time
import webbrowser
from typing import Annotated

import typer

from procman import client, log
from procman.cli import render
from procman.cli.arguments import Json, Targets
from procman.cli.place import Place, here
from procman.client import Call
from procman.errors import StoresError
from procman.paths import Paths
from procman.routes import Route
from procman.snapshot import DnsStatus, GatewayStatus, ProcessStatus, RemoteStatus, ServiceStatus, Snapshot
from procman.state import State
from procman.workspace import Workspace

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def status(targets: Targets = None, as_json: Json = False) -> None:
    """Show what runs, where, and what answers each host.

    Exit code 3 when nothing of it runs.

    For example:
      stores status
      stores status netshop
      stores status --watch          until q or Ctrl-C
      stores status --json
    """
    place = here()
    snapshot = _snapshot(place)
    names = [service.name for service in place.workspace().select(targets)] if targets else None
    chosen = [service for service in snapshot.services if names is None or service.name in names]
    render.status(snapshot, chosen, as_json=as_json)
    if not any(service.wanted for service in chosen):
        raise typer.Exit(3)


def _snapshot(place: Place) -> Snapshot:
    if client.holder(place.paths) is not None:
        return Snapshot.from_json(client.answer(place.paths, "status"))
    return _at_rest(place.workspace(), place.paths)


def _at_rest(workspace: Workspace, paths: Paths) -> Snapshot:
    """What there is to say while nothing runs: what is registered."""
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
    remote = RemoteStatus(workspace.settings.remote.domain)
    from certs.folder import CaFolder  # noqa: PLC0415 (a room of its own; only here)

    ca_file = CaFolder(paths.ca(workspace.settings.domain)).ca_file
    gateway = GatewayStatus(ca_file=str(ca_file) if ca_file.exists() else "")
    return Snapshot(str(workspace.root), workspace.settings.domain, 0, gateway, DnsStatus(), remote, services)


def logs(
    targets: Targets = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on showing new lines.")] = False,
    lines: Annotated[
        int | None, typer.Option("--lines", "-n", min=0, help="Only the last N lines of each process.")
    ] = None,
    since: Annotated[str, typer.Option(help="Only lines since then: 10m, 2h30m, or 2026-11-23T09:00.")] = "",
    grep: Annotated[str, typer.Option(help="Only lines that match the regular expression.")] = "",
    as_json: Json = False,
) -> None:
    """Show what processes wrote, merged by time.

    Also after everything has ended.

    For example:
      stores logs -f
      stores logs netshop.worker 'net*' booking -n 50
      stores logs --since 10m --grep ERROR
    """
    place = here()
    after = _since(since)
    try:
        pattern = re.compile(grep) if grep else None
    except re.error as error:
        raise StoresError(f"--grep {grep}: {error}", "It is a Python regular expression.", exit_code=2) from error
    count = 100 if follow and lines is None and not since else lines
    if client.holder(place.paths) is None:
        _stored(place, targets or [], count, after, pattern, as_json=as_json)
        return
    with Call(place.paths, "logs", targets=targets or [], n=count, since=after, follow=follow) as call:
        for told in call:
            if "line" in told and (pattern is None or pattern.search(told["line"]["text"])):
                render.line(told["line"], as_json=as_json)
            elif "missed" in told:
                render.told(told)


def _stored(
    place: Place, targets: list[str], count: int | None, after: float, pattern: re.Pattern[str] | None, *, as_json: bool
) -> None:
    workspace = place.workspace()
    services = workspace.select([target.partition(".")[0] for target in targets])
    names = [f"{service.name}.{process.name}" for service in services for process in service.processes]
    wanted = [name for name in names if not targets or any(t == name or "." not in t for t in targets)]
    for line in log.tail(place.paths.logs, wanted, n=count, since=after):
        text = line.text.decode("utf-8", "surrogateescape")
        if pattern is None or pattern.search(text):
            render.line({"at": line.at, "name": line.name, "text": text}, as_json=as_json)


def _since(text: str) -> float:
    """Epoch seconds from a span back from now, or from an ISO 8601 time in this machine's zone."""
    if not text:
        return 0.0
    parts = _SPAN.findall(text)
    if parts and _SPAN.sub("", text) == "":
        return time.time() - sum(float(number) * _SECONDS[unit] for number, unit in parts)
    from datetime import datetime  # noqa: PLC0415 (only for a time that is written out)

    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError as error:
        raise StoresError(
            f"--since {text}: not a time", "Write 30s, 10m, 2h30m, 1d, or 2026-11-23T09:00.", exit_code=2
        ) from error


def open_(name: Annotated[str, typer.Argument(help="The service.")]) -> None:
    """Open a service's URL in the browser.

    For example:
      stores open netshop
    """
    place = here()
    place.workspace().service(name)
    service = _snapshot(place).service(name)
    if service is None or not service.urls:
        raise StoresError(f"Nothing runs, so {name} has no URL", f"Start it: stores run {name}", exit_code=3)
    typer.echo(service.urls[0])
    webbrowser.open(service.urls[0])
