"""How results look: for people on a terminal, for programs as JSON. Verbs return facts, this prints them."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from honcho.colour import get_colours

from procman.snapshot import ProcessStatus, ServiceStatus, Snapshot
from procman.state import BROKEN, State

_STATE_COLOUR = {State.READY: "32", State.EXTERNAL: "32", State.FAILED: "31", State.BACKOFF: "31", State.STOPPED: "2"}
_palette = get_colours()
_colours: dict[str, str] = {}


def _colourful(stream: Any) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _paint(text: str, code: str, *, stream: Any = None) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if _colourful(stream or sys.stdout) else text


def result(value: Any, *, as_json: bool) -> None:
    """The result of a verb that changed something. People were told on the way."""
    if as_json:
        sys.stdout.write(json.dumps(value, indent=2) + "\n")


def told(told: dict[str, Any]) -> None:
    """One line of a supervisor's answer, for people. Progress goes to stderr, output of services to stdout."""
    if "line" in told:
        line(told["line"], as_json=False)
    elif "state" in told:
        state = told["state"]
        problem = f": {state['problem']}" if state["problem"] else ""
        colour = _STATE_COLOUR.get(State(state["state"]), "33")
        sys.stderr.write(f"{state['name']} {_paint(state['state'], colour, stream=sys.stderr)}{problem}\n")
    elif "missed" in told:
        sys.stderr.write(f"({told['missed']} lines came too fast to be shown here; all of them: stores logs)\n")


def line(line: dict[str, Any], *, as_json: bool) -> None:
    """One line of a process: ``HH:MM:SS name | text``, its bytes as they were."""
    if as_json:
        sys.stdout.write(json.dumps(line) + "\n")
    else:
        name = line["name"]
        if name not in _colours:
            _colours[name] = next(_palette)
        prefix = f"{time.strftime('%H:%M:%S', time.localtime(line['at']))} {name} |"
        text = f"{_paint(prefix, '0;' + _colours[name])} {line['text']}\n"
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.flush()


def status(snapshot: Snapshot, services: Sequence[ServiceStatus], *, as_json: bool) -> None:
    """The table, or everything as JSON."""
    if as_json:
        value = snapshot.to_json()
        names = {service.name for service in services}
        value["services"] = [service for service in value["services"] if service["name"] in names]
        sys.stdout.write(json.dumps(value, indent=2) + "\n")
        return
    rows: list[tuple[str, ...]] = [("SERVICE", "STATE", "ROUTE", "PID", "PORT", "UPTIME", "RESTARTS", "URL")]
    for service in services:
        rows += _rows(service)
    _table(rows)
    for service in services:
        if service.problem:
            sys.stdout.write(f"{service.name}: {service.problem}\n")
    gateway = snapshot.gateway
    if snapshot.pid:
        sys.stdout.write(
            f"\ngateway {gateway.state} (PID {gateway.pid}), http {gateway.http}, https {gateway.https}; "
            f"DNS 127.0.0.1:{snapshot.dns.port}; CA {gateway.ca_file}\n"
        )
    else:
        sys.stdout.write("\nNothing runs. Start it: stores run NAME…, or in the background: stores up -d\n")
    for mistake in snapshot.mistakes:
        sys.stdout.write(f"{mistake}\n")


def _rows(service: ServiceStatus) -> list[tuple[str, ...]]:
    url = service.urls[0] if service.urls else ""
    if len(service.processes) == 1:
        return [_row(service.name, service.processes[0], service, url)]
    head = (service.name, str(service.state), str(service.route), "", "", "", "", url)
    return [head, *(_row(f"  .{process.name}", process, None, "") for process in service.processes)]


def _row(name: str, process: ProcessStatus, service: ServiceStatus | None, url: str) -> tuple[str, ...]:
    state = service.state if service else process.state
    uptime = _span(time.time() - process.since) if process.pid and process.since else ""
    port = str(process.port) if process.port and (process.pid or state in BROKEN) else ""
    route = str(service.route) if service else ""
    return (name, str(state), route, str(process.pid or ""), port, uptime, str(process.restarts or ""), url)


def _span(seconds: float) -> str:
    """A time span in its two largest units: ``3m 5s``."""
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    left = int(max(0, seconds))
    parts: list[str] = []
    for unit, size in units:
        if left >= size or (unit == "s" and not parts):
            parts.append(f"{left // size}{unit}")
            left %= size
    return " ".join(parts[:2])


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        if number == 0:
            cells = [_paint(cell, "1") for cell in cells]
        else:
            cells[1] = _paint(cells[1], _STATE_COLOUR.get(State(row[1]), "33"))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
