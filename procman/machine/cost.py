"""What processes cost, measured from outside of the supervisor, and only when somebody asks."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psutil

from procman.machine import proc

#: The shortest time over which CPU is measured, in seconds: the kernel counts it in steps of 10 ms.
SHORTEST = 0.15

_TAG = b"STORES_RUN="


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process and all that came of it cost at a moment.

    `cpu`: percent of one core, as `top` counts, since the measurement before. `memory`: bytes, where pages that several
    processes share count once (Linux: PSS), else what would be free without it (USS), else RSS. `listening`: TCP ports.
    """

    cpu: float
    memory: int
    processes: int
    listening: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Used:
    """A process's CPU seconds so far. `start` tells it from a later one with its PID.

    `at`: when just this one was looked at. On a busy machine a look at all of them is interrupted for long, and who is
    looked at last would be told to have used more than there is.
    """

    start: float
    seconds: float
    at: float

    def percent_since(self, before: _Used | None) -> float:
        if before is None or before.start != self.start:
            return 0.0
        return 100 * max(0.0, self.seconds - before.seconds) / max(self.at - before.at, 0.001)


class Meter:
    """Measures; the second time it knows the CPU that was used in between."""

    def __init__(self) -> None:
        self._used: dict[int, _Used] = {}

    def measure(self, mains: Mapping[str, int]) -> dict[str, Cost]:
        """The cost of each tree, by the name of its main process in `mains`. The first time it takes `SHORTEST`."""
        owners = members(mains)
        if not self._used and owners:
            self._look(owners)
            time.sleep(SHORTEST)
        before = self._used
        self._look(owners)
        listening = _listening(owners)
        costs = {}
        for name in mains:
            pids = [pid for pid, owner in owners.items() if owner == name]
            cpu = sum(self._used[pid].percent_since(before.get(pid)) for pid in pids if pid in self._used)
            ports = tuple(sorted({port for pid in pids for port in listening.get(pid, ())}))
            costs[name] = Cost(round(cpu, 1), sum(map(_memory, pids)), len(pids), ports)
        return costs

    def _look(self, pids: Iterable[int]) -> None:
        self._used = {}
        for pid in pids:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                times = process.cpu_times()
                self._used[pid] = _Used(process.create_time(), times.user + times.system, time.monotonic())


def members(mains: Mapping[str, int]) -> dict[int, str]:
    """Every living process that came of one of the main processes, with that one's name.

    By session, group and the tag in its environment; then all their descendants (see `tree`, which ends them so).
    """
    living = {seen.pid: seen for seen in proc.everyone()}
    names = {pid: name for name, pid in mains.items() if pid in living}
    tags = {tag: name for pid, name in names.items() if (tag := _tag(pid))}
    owners: dict[int, str] = {}
    for pid, seen in living.items():
        owner = names.get(pid) or names.get(seen.sid) or names.get(seen.pgid) or (tags and tags.get(_tag(pid)))
        if owner:
            owners[pid] = owner
    while more := {pid: owners[seen.ppid] for pid, seen in living.items() if pid not in owners and seen.ppid in owners}:
        owners.update(more)
    return owners


def _tag(pid: int) -> bytes:
    return next((part for part in proc.environ(pid).split(b"\0") if part.startswith(_TAG)), b"")


def _memory(pid: int) -> int:
    try:
        process = psutil.Process(pid)
        try:
            full = process.memory_full_info()
        except psutil.AccessDenied:
            return int(process.memory_info().rss)
    except psutil.Error:
        return 0
    return int(getattr(full, "pss", 0) or full.uss)


def _listening(pids: Iterable[int]) -> dict[int, list[int]]:
    """The TCP ports on which each of them listens. macOS shows only root the whole table, so each is asked there."""
    found: dict[int, list[int]] = {}
    if sys.platform == "darwin":
        for pid in pids:
            with contextlib.suppress(psutil.Error):
                connections = psutil.Process(pid).net_connections("tcp")
                found[pid] = [one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN and one.laddr]
        return found
    wanted = set(pids)
    for one in psutil.net_connections("tcp") if wanted else ():
        if one.status == psutil.CONN_LISTEN and one.pid in wanted and one.laddr:
            found.setdefault(one.pid, []).append(one.laddr.port)
    return found
