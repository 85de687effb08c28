"""A million lines of one service beside the ticks of another, for `bench.supervisor`."""

from __future__ import annotations

import os
import re
import selectors
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.supervisor_peers import Peer, Running, until

LINES = int(os.environ.get("BENCH_LINES", "1000000"))

#: A flood that does not end is given up after so many seconds, and its lines are counted.
GIVEN_UP = 15.0

FLOOD = """
import os, sys, time
print("ready", flush=True)
while not os.path.exists("go"):
    time.sleep(0.005)
chunk = (b"x" * 99 + b"\\n") * 100
for _ in range(int(sys.argv[2]) // 100):
    os.write(1, chunk)
os.write(1, b"flooded\\n")
time.sleep(1000)
"""
TICK = """
import os, time
print("ready", flush=True)
while True:
    os.write(1, b"tick %.6f\\n" % time.time())
    time.sleep(0.02)
"""
_TICK = re.compile(rb"tick (\d+\.\d+)")


def flood(peer: Peer) -> dict[str, float]:
    """A million lines of one service beside the ticks of another: seconds, CPU seconds, MB, the ticks' delay in ms."""
    with tempfile.TemporaryDirectory() as programs:
        for name, text in (("flood", FLOOD), ("tick", TICK)):
            (Path(programs) / f"{name}.py").write_text(text)
        services = {
            "flood": f"{sys.executable} {programs}/flood.py bench-service {LINES}",
            "tick": f"{sys.executable} {programs}/tick.py bench-service",
        }
        with peer.running(services, stdout=subprocess.DEVNULL if peer.to_files else subprocess.PIPE) as running:
            look = _in_files if peer.to_files else _in_pipe
            return look(running)


def _in_pipe(running: Running) -> dict[str, float]:
    assert running.process.stdout
    number = running.process.stdout.fileno()
    seen = b""
    while seen.count(b"ready") < 2 or b"tick " not in seen:
        seen += os.read(number, 65536)
    until(lambda: len(running.supervisors()) >= 1, "it runs")
    meter = Meter(running)
    (running.folder / "go").touch()
    lines, delays, rest = 0, [], b""
    selector = selectors.DefaultSelector()
    selector.register(number, selectors.EVENT_READ)
    while b"flooded" not in rest and not meter.given_up():
        if not selector.select(0.1):
            continue
        data = os.read(number, 1 << 20)
        now = time.time()
        lines += data.count(b"\n")
        delays += [(now - float(at)) * 1000 for at in _TICK.findall(rest[-200:].rpartition(b"\n")[2] + data)]
        rest = data if b"flooded" in data else rest[-10:] + data[-200:]
        meter.look()
    selector.close()
    return meter.result(lines, delays)


def _in_files(running: Running) -> dict[str, float]:
    flooded, ticks = running.folder / "flood.log", running.folder / "tick.log"
    until(lambda: ticks.exists() and flooded.exists() and b"tick " in ticks.read_bytes(), "it runs")
    meter = Meter(running)
    (running.folder / "go").touch()
    size = LINES * 100
    delays: list[float] = []
    with ticks.open("rb") as file:
        file.seek(0, os.SEEK_END)
        while flooded.stat().st_size < size + len("ready\nflooded\n") and not meter.given_up():
            now = time.time()
            delays += [(now - float(at)) * 1000 for at in _TICK.findall(file.read())]
            meter.look()
            time.sleep(0.001)
    return meter.result(flooded.stat().st_size // 100, delays)


class Meter:
    """What a supervisor uses while something happens."""

    def __init__(self, running: Running) -> None:
        self._processes = running.supervisors()
        self._cpu = self._used()
        self._most = 0.0
        self._began = self._looked = time.monotonic()

    def _used(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self._processes)

    def given_up(self) -> bool:
        return time.monotonic() - self._began > GIVEN_UP

    def look(self) -> None:
        if time.monotonic() - self._looked > 0.05:
            self._looked = time.monotonic()
            self._most = max(self._most, sum(process.memory_info().rss for process in self._processes) / 1e6)

    def result(self, lines: int, delays: list[float]) -> dict[str, float]:
        took = time.monotonic() - self._began
        return {
            "seconds": took,
            "cpu": self._used() - self._cpu,
            "memory": self._most,
            "lines": lines,
            "delay": statistics.median(delays) if delays else float("nan"),
            "worst": max(delays, default=float("nan")),
        }


def lost(result: dict[str, float]) -> float:
    """The flood's lines; the ticks and the supervisor's own notes stand among what was counted."""
    return -1 if result["seconds"] >= GIVEN_UP else max(0.0, LINES - result["lines"])
