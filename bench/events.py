"""`python -m bench events`: events a second, to the acknowledgement and to the subscriber; writes a page.

The page is ``docs/bench/events.md``. The broker is a process of its own on a fresh file, with its log in SQLite, in
NATS JetStream or in Redis Streams; beside it, in the same round, the clients of those servers without us. Servers that
are not installed are left out. ``BENCH_ROUNDS`` (3) and ``BENCH_BACKLOG`` (100000; 0: none) change what is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import statistics
import tempfile
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

from bench.events_backlog import Backlog, backlog
from bench.events_engines import promise, raw, server
from bench.events_load import Load, Result, broker, subscribers
from proxy_addons.event_loop import loop_factory

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
BACKLOG = int(os.environ.get("BENCH_BACKLOG", "100000"))
PAGE = Path(__file__).parent.parent / "docs" / "bench" / "events.md"
Found = TypeVar("Found")
#: Seconds that the subscriber may need for the rest of what was published.
_PATIENCE = 60


@dataclass(frozen=True, slots=True)
class Case:
    """What is done at once. `pause`: seconds from one event to the next; 0: as fast as the answers come."""

    publishers: int
    subscriptions: int
    count: int
    pause: float = 0.0

    @property
    def name(self) -> str:
        pace = ", 100 events/s" if self.pause else ""
        several = "publisher" if self.publishers == 1 else "publishers"
        return f"{self.publishers} {several}, {self.subscriptions} subscribed{pace}"


ALONE, FULL, HEARD = Case(1, 1, 1000), Case(32, 0, 6000), Case(32, 1, 4000)
PACED = Case(1, 1, 200, 0.01)
CASES = (ALONE, Case(1, 10, 300), FULL, HEARD, Case(32, 10, 600), PACED)
#: What the engines' own clients do too.
RAW = (ALONE, FULL, HEARD)


async def measure(case: Case, folder: Path, engine: str) -> Result:
    """A fresh broker, until everything is delivered."""
    arrived: list[tuple[int, float]] = []
    everything = asyncio.Event()

    def heard(number: int, at: float) -> None:
        arrived.append((number, at))
        if len(arrived) == case.count * case.subscriptions:
            everything.set()

    async with subscribers(case.subscriptions, heard) as ports:
        with broker(folder, ports, engine) as (front, process):
            before = _cpu(process)
            load = Load(case.count)
            took = await load.run(front, case.publishers, case.pause)
            if case.subscriptions:
                await asyncio.wait_for(everything.wait(), _PATIENCE)
            cpu = _cpu(process) - before
    delivered = tuple((at - load.begun[number]) * 1000 for number, at in arrived)
    rate = len(arrived) / (arrived[-1][1] - load.begun[0]) if arrived else 0.0
    acknowledged = [seconds * 1000 for seconds in load.acknowledged]
    return Result(case.count / took, acknowledged, rate, delivered, cpu / case.count * 1e6)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    """All cases, round by round; of each, the middle one by rate is written."""
    loads = [os.getloadavg()[0]]
    found: dict[tuple[Case, str], list[Result]] = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
        servers = {kind: stack.enter_context(server(kind, folder / kind)) for kind in ("nats", "redis")}
        urls = {kind: url for kind, url in servers.items() if url}
        for number in range(ROUNDS):
            for case in CASES:
                _round(case, folder, urls, found)
            loads.append(os.getloadavg()[0])
            print(f"round {number + 1} of {ROUNDS}, load average {loads[-1]:.1f}", flush=True)
        waited = _run(backlog(folder, BACKLOG)) if BACKLOG else None
        loads.append(os.getloadavg()[0])
    PAGE.write_text("\n".join([*_head(loads), *_goals(found), *_table(found), *_backlog(waited)]) + "\n")
    print(PAGE.read_text())


def _round(case: Case, folder: Path, urls: dict[str, str], found: dict[tuple[Case, str], list[Result]]) -> None:
    for kind in ("sqlite", *urls):
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            url = f"{urls[kind]}/{uuid.uuid4().hex[:8]}" if kind in urls else ""
            result = _run(measure(case, Path(fresh), url))
        found.setdefault((case, kind), []).append(result)
    if case in RAW:
        for kind, url in urls.items():
            stream = f"raw-{uuid.uuid4().hex[:8]}"
            result = _run(raw(url, stream, case.publishers, case.count, subscribed=bool(case.subscriptions)))
            found.setdefault((case, f"{kind} raw"), []).append(result)


def _run(work: Coroutine[Any, Any, Found]) -> Found:
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(work)


_NAMES = {
    "sqlite": "SQLite",
    "nats": "NATS JetStream",
    "nats raw": "nats-py without us",
    "redis": "Redis Streams",
    "redis raw": "redis-py without us",
}


def _middle(results: list[Result]) -> Result:
    return sorted(results, key=lambda result: result.rate)[len(results) // 2]


def _head(loads: list[float]) -> list[str]:
    said = ", ".join(f"{load:.1f}" for load in loads)
    return [
        "# Events",
        "",
        f"Written by `python -m bench events`: {ROUNDS} alternating rounds, of each row the middle one by rate, on",
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores,",
        "shared by the broker, the engines' servers, the publishers and the subscribers. Events of 1 kB; each",
        "publisher has one connection, one event under way. SQLite: `synchronous=FULL`. Redis: `appendfsync always`.",
        promise(),
        "",
        f"The load average at the start, after each round and at the end: {said}. The bench itself makes about 2",
        "of it; what is above that, others took. The CPU of an event is what a load changes least.",
        "",
    ]


def _goals(found: dict[tuple[Case, str], list[Result]]) -> list[str]:
    def row(name: str, values: list[float], goal: str, best: float) -> str:
        return f"| {name} | {goal} | {statistics.median(values):,.1f} | {best:,.1f} |"

    rates = {case: [result.rate for result in found[case, "sqlite"]] for case in (FULL, HEARD)}
    paced = [statistics.median(result.delivered) for result in found[PACED, "sqlite"]]
    return [
        "| SQLite, over HTTP | goal | middle | best |",
        "|---|---:|---:|---:|",
        row("acknowledged/s, 32 publishers, nobody subscribes", rates[FULL], "≥ 3,000", max(rates[FULL])),
        row("acknowledged/s, 32 publishers, one subscriber", rates[HEARD], "≥ 3,000", max(rates[HEARD])),
        row("ms to the subscriber at 100 events/s, p50", paced, "≤ 5", min(paced)),
        "",
    ]


def _table(found: dict[tuple[Case, str], list[Result]]) -> list[str]:
    lines = [
        "Milliseconds are p50 / p99; CPU is the broker's, for an event and all its deliveries. Without a pace, the way",
        "to many subscribers is mostly the queue in front of them.",
        "",
        "| | log | acknowledged/s | ms to the acknowledgement | deliveries/s | ms to the subscriber | µs of CPU |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for case in CASES:
        for kind, name in _NAMES.items():
            if (case, kind) in found:
                lines.append(f"| {case.name} | {name} | {_row(_middle(found[case, kind]))} |")
    return [*lines, ""]


def _row(result: Result) -> str:
    delivered = (f"{result.deliveries:,.0f}", _spread(list(result.delivered))) if result.delivered else ("", "")
    cpu = f"{result.cpu:,.0f}" if result.cpu else ""
    return " | ".join((f"{result.rate:,.0f}", _spread(result.acknowledged), *delivered, cpu))


def _spread(values: list[float]) -> str:
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 2]:.1f} / {ordered[int(len(ordered) * 0.99)]:.1f}"


def _backlog(found: Backlog | None) -> list[str]:
    if not found:
        return []
    lines = [
        f"A backlog of {found.events:,} events in SQLite: published in batches of 200 while the subscription is",
        "paused, then delivered one by one, up to 16 at a time. The broker's memory (USS) before the first event:",
        f"{found.empty:.0f} MB.",
        "",
        "| tenth | published/s | MB | delivered/s | MB |",
        "|---:|---:|---:|---:|---:|",
    ]
    rows = zip(found.published, found.filled, found.drained, found.emptied, strict=True)
    for tenth, (published, filled, drained, emptied) in enumerate(rows, 1):
        lines.append(f"| {tenth} | {published:,.0f} | {filled:.0f} | {drained:,.0f} | {emptied:.0f} |")
    first, last = statistics.median(found.drained[:5]), statistics.median(found.drained[5:])
    lines += ["", f"The second half was drained at {last / first:.0%} of the first half's rate (medians)."]
    return lines
