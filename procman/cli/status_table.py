"""The table of `stores status`, for people."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Sequence

from procman.cli.render import STATE_COLOUR, paint
from procman.clients.overview import Overview
from procman.preparation.setup_record import Setup
from procman.snapshot import ProcessStatus, ServiceStatus
from procman.state import ALIVE, BROKEN, State

_HEAD = ("SERVICE", "STATE", "ROUTE", "PID", "PORT", "UPTIME", "RESTARTS", "CPU", "MEMORY", "URL")

#: What a narrow terminal does without, in this order. URLs stand below the table then.
_SETS: tuple[set[str], ...] = (set(), {"PID"}, {"PID", "UPTIME"}, {"URL"}, {"URL", "PID"}, {"URL", "PID", "UPTIME"})

_KILO = 1024
_HTTP = 80


def lines(overview: Overview) -> Iterator[str]:
    """The whole of it, line by line."""
    rows: list[tuple[str, ...]] = [_HEAD]
    for service in overview.services:
        rows += _rows(overview, service)
    kept = _columns(rows)
    yield from _table(rows, kept)
    if _HEAD.index("URL") not in kept:
        yield from (f"{service.name}: {service.urls[0]}" for service in overview.services if service.urls)
    for service in overview.services:
        yield from _remarks(overview, service)
    yield ""
    yield _foot(overview)
    if overview.events:
        yield from overview.events.lines()
    yield from overview.snapshot.mistakes


def _foot(overview: Overview) -> str:
    snapshot = overview.snapshot
    if not snapshot.pid:
        return "Nothing runs. Start it: stores run NAME…, or in the background: stores up -d"
    gateway = snapshot.gateway
    ports = f"http {gateway.http}, https {gateway.https}"
    first = f"gateway {gateway.state}{_priced(overview, 'gateway', gateway.pid)}: {ports}"
    second = f"supervisor{_priced(overview, 'stores', snapshot.pid)}: DNS 127.0.0.1:{snapshot.dns.port}"
    third = f"without DNS and CA: {_plain('NAME', gateway.http)}/"
    return "\n".join((first, *_api_gateway(overview), second, f"CA {gateway.ca_file}", third))


def _api_gateway(overview: Overview) -> Iterator[str]:
    routes = [f"{service.api.prefix} → {service.name}" for service in overview.services if service.api]
    if routes:
        yield f"API gateway {_plain('api-gateway', overview.snapshot.gateway.http)}: {', '.join(routes)}"


def _plain(name: str, port: int) -> str:
    """Where it is reached without DNS and certificates."""
    return f"http://{name}.localhost{'' if port == _HTTP else f':{port}'}"


def _priced(overview: Overview, name: str, pid: int | None) -> str:
    cost = overview.cost(name)
    facts = [f"PID {pid}"] if pid else []
    facts += [f"{cost[0]:.0f} %", size(cost[1])] if cost else []
    return f" ({', '.join(facts)})" if facts else ""


def _remarks(overview: Overview, service: ServiceStatus) -> Iterator[str]:
    """What should be known besides, and what to type."""
    if service.problem:
        yield f"{service.name}: {service.problem}".replace("\n", "\n    ")  # its last lines belong to it
    if service.advice:
        yield f"{service.name}: {service.advice}"
    setup = overview.setups.get(service.name)
    if setup is Setup.STALE:
        yield f"{service.name}: setup stale (stores setup {service.name})"
    elif setup is Setup.NEVER and service.state is not State.READY:  # what answers was set up, by whomever
        yield f"{service.name}: never set up (stores setup {service.name})"
    elif setup is Setup.ABSENT and service.wanted:
        yield f"{service.name}: not cloned (stores clone {service.name})"
    for process in service.processes:
        name = f"{service.name}.{process.name}"
        if name in overview.due:
            why = "its file, its .env or [events] port has changed"
            yield f"{name}: restart due, because {why} (stores restart {name})"
    elsewhere = overview.elsewhere(service)
    if elsewhere and not service.advice.startswith("listens on"):
        ports = ", ".join(map(str, elsewhere))
        yield f"{service.name}: listens on {ports}, and requests go to {service.port} ($PORT)"


def _rows(overview: Overview, service: ServiceStatus) -> list[tuple[str, ...]]:
    url = service.urls[0] if service.urls else ""
    if len(service.processes) == 1:
        only = service.processes[0]
        return [_row(overview, service.name, only, service.state, str(service.route), url)]
    cost = overview.cost(service.name)
    priced = (f"{cost[0]:.0f} %", size(cost[1])) if cost else ("", "")
    head = (service.name, str(service.state), str(service.route), "", "", "", "", *priced, url)
    parts = [
        _row(overview, f"{service.name}.{process.name}", process, process.state, "", "")
        for process in service.processes
    ]
    return [head, *((f"  {part[0].removeprefix(service.name)}", *part[1:]) for part in parts)]


def _row(overview: Overview, name: str, process: ProcessStatus, state: State, route: str, url: str) -> tuple[str, ...]:
    """`name` is the service's where it has one process only: its cost is the same."""
    cost = overview.cost(name)
    running = process.state in ALIVE or process.state is State.EXTERNAL
    return (
        name,
        str(state),
        route,
        str(process.pid or ""),
        str(process.port) if process.port and (running or process.state in BROKEN) else "",
        span(time.time() - process.since) if running and process.since else "",
        str(process.restarts or ""),
        f"{cost[0]:.0f} %" if cost else "",
        size(cost[1]) if cost else "",
        url,
    )


def span(seconds: float) -> str:
    """A time span in its two largest units: ``3m 5s``."""
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    left = int(max(0, seconds))
    parts: list[str] = []
    for unit, length in units:
        if left >= length or (unit == "s" and not parts):
            parts.append(f"{left // length}{unit}")
            left %= length
    return " ".join(parts[:2])


def size(number: int) -> str:
    """Bytes for people: ``57 MB`` (of 1024 KB each)."""
    value = float(number)
    for unit in ("B", "KB", "MB"):
        if value < _KILO:
            return f"{value:.0f} {unit}"
        value /= _KILO
    return f"{value:.1f} GB"


def _table(rows: Sequence[tuple[str, ...]], kept: Sequence[int]) -> Iterator[str]:
    widths = _widths(rows, kept)
    for number, row in enumerate(rows):
        cells = [row[column].ljust(width) for column, width in zip(kept, widths, strict=True)]
        if number == 0:
            cells = [paint(cell, "1") for cell in cells]
        else:
            cells[1] = paint(cells[1], STATE_COLOUR.get(State(row[1]), "33"))
        yield "  ".join(cells).rstrip()


def _widths(rows: Sequence[tuple[str, ...]], kept: Sequence[int]) -> list[int]:
    return [max(len(row[column]) for row in rows) for column in kept]


def _columns(rows: Sequence[tuple[str, ...]]) -> list[int]:
    """Those that say something; on a terminal, as many of them as fit."""
    telling = [column for column in range(len(_HEAD)) if column < 2 or any(row[column] for row in rows[1:])]  # noqa: PLR2004 (name and state)
    if not sys.stdout.isatty():
        return telling
    room = shutil.get_terminal_size().columns
    kept = telling
    for without in _SETS:
        kept = [column for column in telling if _HEAD[column] not in without]
        if sum(_widths(rows, kept)) + 2 * (len(kept) - 1) <= room:
            break
    return kept
