"""`stores logs`: what processes wrote, from the files and, to follow, from the supervisor."""

from __future__ import annotations

import heapq
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from procman import log_reading
from procman.cli import moment, render
from procman.cli.arguments import Json, Targets
from procman.cli.help import option
from procman.cli.place import Place, here
from procman.clients import supervisor
from procman.clients.supervisor import Call
from procman.errors import StoresError


def logs(
    targets: Targets = None,
    follow: Annotated[bool, option("--follow", "-f", help="Go on showing new lines.")] = False,
    lines: Annotated[
        int | None, option("--lines", "-n", min=0, metavar="N", help="Only the last N lines of each process.")
    ] = None,
    since: Annotated[str, option(metavar="TIME", help="Only lines since then: 10m, 2h30m, or 2026-11-23T09:00.")] = "",
    grep: Annotated[str, option(metavar="REGEX", help="Only lines that match.")] = "",
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

    width = 0

    def show(line: dict[str, Any]) -> None:
        if pattern is None or pattern.search(line["text"]):
            render.line(line, as_json=as_json, width=width)

    if supervisor.holder(place.paths) is None:
        names = _logged(place, targets or [])
        width = max(map(len, names), default=0)
        _stored(place, names, Wanted(count, after, pattern), None, show)
        return
    with Call(place.paths, "logs", targets=targets or [], follow=True) as call:
        for told in call:
            if "begins" in told:
                width = max(map(len, told["begins"]), default=0)
                # up to where the files are read, and from where on the supervisor tells
                _stored(place, told["begins"], Wanted(count, after, pattern), told["begins"] if follow else None, show)
                if not follow:
                    return
            elif "line" in told:
                show(told["line"])
            elif "missed" in told:
                render.told(told)


def _logged(place: Place, targets: list[str]) -> list[str]:
    """The processes whose logs are meant; the gateway's belongs to all of them."""
    services = [target for target in targets if target != "gateway"]
    chosen = place.workspace().processes(services) if services or not targets else []
    names = [f"{service.name}.{process.name}" for service, process in chosen]
    return names if len(services) == len(targets) and targets else [*names, "gateway"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines: the last `count` of each process (None: all) that are not older than `after` and match."""

    count: int | None
    after: float
    pattern: re.Pattern[str] | None

    def of(self, lines: Iterable[log_reading.Line]) -> Iterator[dict[str, Any]]:
        """Those of `lines` that are wanted; `lines` are the last ones already where all of them match."""
        told: Iterator[dict[str, Any]] = (
            {"at": line.at, "name": line.name, "text": line.text.decode("utf-8", "surrogateescape")} for line in lines
        )
        if self.pattern is None:
            return told
        pattern, count = self.pattern, self.count
        matching = (line for line in told if pattern.search(line["text"]))
        return matching if count is None else _last(matching, count)


def _last(lines: Iterable[dict[str, Any]], count: int) -> Iterator[dict[str, Any]]:
    each: dict[str, deque[dict[str, Any]]] = {}
    for line in lines:
        each.setdefault(line["name"], deque(maxlen=count)).append(line)
    return heapq.merge(*each.values(), key=lambda line: line["at"])


def _stored(
    place: Place,
    names: Iterable[str],
    wanted: Wanted,
    until: dict[str, int] | None,
    show: Callable[[dict[str, Any]], None],
) -> None:
    """What stands in the files: read here, so that it costs the supervisor nothing."""
    count = wanted.count if wanted.pattern is None else None
    for line in wanted.of(log_reading.tail(place.paths.logs, names, n=count, since=wanted.after, until=until)):
        show(line)


def _since(text: str) -> float:
    if not text:
        return 0.0
    try:
        return moment.epoch(text)
    except ValueError as error:
        raise StoresError(
            f"--since {text}: not a time", "Write 30s, 10m, 2h30m, 1d, or 2026-11-23T09:00.", exit_code=2
        ) from error
