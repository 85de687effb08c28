"""`python -m bench dns`: questions a second beside dnsmasq; writes ``docs/bench/dns.md``.

Both answer for the same domain on loopback, and the same dnsperf asks them in turn with the same questions. The cores
are shared with it, so what counts is the ratio within a round.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "3"))
PAGE = Path(__file__).parent.parent / "docs" / "bench" / "dns.md"
DOMAIN = "local.example.com"

#: The least ratio to dnsmasq that we want.
WANTED = 0.5

SERVICES = ("netshop", "reserve", "register", "account", "organization", "tokyo.netshop", "a.b.c.netshop")


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked: `lines` for dnsperf, `options` for it. `alone`: dnsmasq was not made for it."""

    name: str
    lines: tuple[str, ...]
    options: tuple[str, ...] = ()
    alone: bool = False


MIX = tuple(f"{name}.{DOMAIN} {kind}" for name in SERVICES for kind in ("A", "AAAA", "HTTPS"))
KINDS = (
    Questions("A, seven names", tuple(f"{name}.{DOMAIN} A" for name in SERVICES)),
    Questions("A, AAAA and HTTPS, as browsers ask", MIX),
    Questions("the same with EDNS, as systemd-resolved asks", MIX, ("-e",)),
    # dnsmasq makes a process for each connection, and ends that after a hundred questions
    Questions("the same over TCP", MIX, ("-m", "tcp"), alone=True),
    Questions("A, 20,000 different names", tuple(f"n{number}.netshop.{DOMAIN} A" for number in range(20_000))),
)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ours(port: int) -> list[str]:
    return [sys.executable, "-P", "-m", "dns", "--domain", DOMAIN, "--port", str(port)]


def dnsmasq(port: int) -> list[str]:
    fixed = ["--no-resolv", "--no-hosts", "--no-daemon", "--conf-file=/dev/null", "--bind-interfaces"]
    addresses = [f"--address=/{DOMAIN}/127.0.0.1", f"--address=/{DOMAIN}/::1"]
    return [
        "dnsmasq", *fixed, "--listen-address=127.0.0.1", f"--port={port}", *addresses, "--cache-size=10000",
        f"--local=/{DOMAIN}/", "--local-ttl=60", "--dns-forward-max=1000",
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Peer:
    """A running server."""

    name: str
    port: int
    pid: int

    def cpu(self) -> float:
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system

    def memory(self) -> float:
        """MB of proportional set size, its children included."""
        return float(psutil.Process(self.pid).memory_full_info().pss) / 1e6


@contextlib.contextmanager
def serving(name: str, command: Callable[[int], list[str]]) -> Iterator[Peer]:
    port = free_port()
    process = subprocess.Popen(command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        yield Peer(name, port, process.pid)
    finally:
        process.terminate()
        process.wait(10)


@dataclass(frozen=True, slots=True)
class Result:
    """Answers a second, lost questions, average latency in ms, microseconds of CPU for a question."""

    rate: float
    lost: int
    latency: float
    cpu: float


def ask(peer: Peer, questions: Questions, file: Path) -> Result:
    before = peer.cpu()
    out = subprocess.run(
        [
            "dnsperf", "-s", "127.0.0.1", "-p", str(peer.port), "-d", str(file), "-l", f"{SECONDS:g}", "-c", "4",
            *questions.options,
        ],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    spent = peer.cpu() - before

    def number(pattern: str) -> float:
        found = re.search(pattern, out)
        assert found, out
        return float(found[1])

    completed = number(r"Queries completed:\s+(\d+)")
    return Result(
        rate=number(r"Queries per second:\s+([\d.]+)"),
        lost=int(number(r"Queries lost:\s+(\d+)")),
        latency=number(r"Average Latency \(s\):\s+([\d.]+)") * 1000,
        cpu=spent / completed * 1e6,
    )


def measure(peers: list[Peer], questions: Questions, folder: Path) -> dict[str, list[Result]]:
    file = folder / "questions"
    file.write_text("\n".join(questions.lines) + "\n")
    results: dict[str, list[Result]] = {peer.name: [] for peer in peers}
    for number in range(ROUNDS):
        for peer in peers if number % 2 else reversed(peers):
            results[peer.name].append(ask(peer, questions, file))
    return results


def median(results: list[Result], value: str) -> float:
    return statistics.median(float(getattr(result, value)) for result in results)


def row(questions: Questions, results: dict[str, list[Result]]) -> tuple[str, float | None]:
    mine = results["stores"]
    if questions.alone:
        cells = [f"{median(mine, 'cpu'):.1f}", f"{median(mine, 'latency'):.2f}", str(sum(one.lost for one in mine))]
        return f"| {questions.name} | {median(mine, 'rate'):,.0f} | | | {' | '.join(cells)} |", None
    theirs = results["dnsmasq"]
    ratios = [one.rate / other.rate for one, other in zip(mine, theirs, strict=True)]
    ratio = statistics.median(ratios)
    cells = [
        questions.name,
        f"{median(mine, 'rate'):,.0f}",
        f"{median(theirs, 'rate'):,.0f}",
        f"**{ratio:.2f}** ({min(ratios):.2f} to {max(ratios):.2f})",
        f"{median(mine, 'cpu'):.1f} / {median(theirs, 'cpu'):.1f}",
        f"{median(mine, 'latency'):.2f} / {median(theirs, 'latency'):.2f}",
        f"{sum(one.lost for one in mine)} / {sum(one.lost for one in theirs)}",
    ]
    return f"| {' | '.join(cells)} |", ratio


def main() -> None:
    missing = [tool for tool in ("dnsperf", "dnsmasq") if not shutil.which(tool)]
    if missing:
        print(f"bench: not installed: {', '.join(missing)}")
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        serving("stores", ours) as mine,
        serving("dnsmasq", dnsmasq) as theirs,
    ):
        rows, ratios = [], []
        for questions in KINDS:
            peers = [mine] if questions.alone else [mine, theirs]
            text, ratio = row(questions, measure(peers, questions, Path(folder)))
            print(text, flush=True)
            rows.append(text)
            if ratio is not None:
                ratios.append(ratio)
        memory = f"{mine.memory():.0f} MB and {theirs.memory():.0f} MB (PSS)"
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(rows, ratios, memory), encoding="utf-8")


def page(rows: list[str], ratios: list[float], memory: str) -> str:
    version = subprocess.run(["dnsmasq", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    met = sum(ratio >= WANTED for ratio in ratios)
    table = "\n".join(rows)
    return f"""\
# The resolver beside dnsmasq

Written by `python -m bench dns`: median of {ROUNDS} alternating rounds of {SECONDS:g} s, dnsperf with 4 clients, all on
loopback. CPython {platform.python_version()}, dnsmasq {version}; {os.cpu_count()} cores shared by server and dnsperf.
Wanted is at least {WANTED} of dnsmasq's rate: {met} of {len(ratios)} rows have it. (Over TCP dnsmasq ends each
connection after a hundred questions, which is no match.)

| questions | stores, a second | dnsmasq, a second | ratio (least to most) | CPU µs a question | latency ms | lost |
| --- | --- | --- | --- | --- | --- | --- |
{table}

Both columns with a slash: stores / dnsmasq. Memory after it: {memory}; inside the supervisor the resolver adds far less
than this process of its own, which is mostly Python.
"""


if __name__ == "__main__":
    main()
