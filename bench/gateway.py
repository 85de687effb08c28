"""`python -m bench gateway`: how fast the gateway is beside nginx and Caddy; writes ``docs/bench/gateway.md``.

All run on this machine at once, one worker each for nginx and for us, Caddy as it comes; the load generator and the
origin share the cores with them. What counts is the ratio within a round, so rounds are short and alternate.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
import shutil
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.gateway_peers import DOMAIN, Peer, caddy, gateway, nginx, origin
from bench.load_generators import SECONDS, Result, h2load, handshakes, wrk
from certs.authority import Authority

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
PAGE = Path(__file__).parent.parent / "docs" / "bench" / "gateway.md"


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing that is measured. `caddy` and `nginx`: the least ratio to them that we want."""

    name: str
    run: Callable[[Peer], Result]
    nginx: float = 0.0
    caddy: float = 0.0


CELLS = [
    Cell("HTTP/1, 1 kB, 1 connection", wrk("1k", 1), caddy=1.0),
    Cell("HTTP/1, 1 kB, 16 connections", wrk("1k", 16), 0.55, 2.0),
    Cell("HTTP/1, 1 kB, 64 connections", wrk("1k", 64), 0.55, 2.0),
    Cell("HTTP/1, 64 kB, 16 connections", wrk("64k", 16), 0.55, 2.0),
    Cell("HTTP/1, 64 kB, 64 connections", wrk("64k", 64), 0.55, 2.0),
    Cell("HTTP/1, 10 MB, 4 connections", wrk("10m", 4), 0.9),
    Cell("HTTP/1 over TLS, 1 kB, 16 connections", wrk("1k", 16, tls=True), 0.5, 1.5),
    Cell("HTTP/1 over TLS, 64 kB, 16 connections", wrk("64k", 16, tls=True)),
    Cell("new TLS connections, full handshake (TLS 1.3)", handshakes(100), 0.7),
    Cell("new TLS connections, session resumed (TLS 1.2)", wrk("1k", 16, tls=True, close=True, resume=True)),
    Cell("new plain connections", wrk("1k", 16, close=True)),
    Cell("HTTP/2, 1 kB, 8 connections of 16 streams", h2load("1k", 8, 16), 0.7, 4.0),
    Cell("HTTP/2, 64 kB, 8 connections of 16 streams", h2load("64k", 8, 16)),
]


def main() -> None:
    """Measures, prints and writes the page. Peers that are not installed are left out."""
    for tool in ("wrk", "nginx"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is not installed: sudo apt install nginx caddy wrk nghttp2-client")
    load = os.getloadavg()[0]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
        folder.chmod(0o755)
        authority = Authority.load_or_create(folder / "ca", DOMAIN)
        port = stack.enter_context(origin(folder / "origin"))
        makers = [nginx, *([caddy] if shutil.which("caddy") else []), gateway]
        peers = [stack.enter_context(make(folder / make.__name__, port, authority)) for make in makers]
        idle = {peer.name: peer.pss for peer in peers}
        results = {cell.name: _measure(cell, peers) for cell in _possible()}
        loaded = {peer.name: peer.pss for peer in peers}
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(_page(peers, results, idle, loaded, load))
    print(PAGE.read_text())


def _possible() -> list[Cell]:
    needs_h2load = ("HTTP/2", "full handshake")
    return CELLS if shutil.which("h2load") else [c for c in CELLS if not any(word in c.name for word in needs_h2load)]


def _measure(cell: Cell, peers: list[Peer]) -> dict[str, Result]:
    runs: dict[str, list[Result]] = {peer.name: [] for peer in peers}
    for number in range(ROUNDS):
        for peer in peers if number % 2 else peers[::-1]:
            before = peer.cpu
            result = cell.run(peer)
            used = (peer.cpu - before) / (result.answered or max(1.0, result.rate * SECONDS))
            runs[peer.name].append(dataclasses.replace(result, cpu=used * 1e6))
    results = {name: _median(found) for name, found in runs.items()}
    print(cell.name, {name: f"{result.rate:.0f}/s {result.cpu:.0f} µs" for name, result in results.items()}, flush=True)
    return results


def _median(found: list[Result]) -> Result:
    def middle(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return statistics.median(known) if known else None

    return Result(
        statistics.median(result.rate for result in found),
        statistics.median(result.cpu for result in found),
        middle([result.p50 for result in found]),
        middle([result.p99 for result in found]),
    )


def _page(
    peers: list[Peer],
    results: dict[str, dict[str, Result]],
    idle: dict[str, float],
    loaded: dict[str, float],
    load: float,
) -> str:
    names = [peer.name for peer in peers]
    wanted = {cell.name: cell for cell in CELLS}
    lines = [
        "# The gateway beside nginx and Caddy",
        "",
        f"Written by `python -m bench gateway`: {ROUNDS} alternating rounds of {SECONDS:g} s each, medians, on Python",
        f"{platform.python_version()} and {os.cpu_count()} cores, which the proxies, the load generator and the origin",
        "share. nginx has one worker, Caddy all cores. Trust the ratios. In each field: requests a second;",
        "p50 / p99 in ms; CPU of the proxy for a request in µs. In brackets: the ratio that we want.",
        "",
        f"The load average was {load:.1f}: above 0.5, others had a share in the rates; the CPU says more.",
        "",
        f"| | {' | '.join(names)} | stores ÷ nginx | stores ÷ Caddy |",
        f"|---|{'---:|' * (len(names) + 2)}",
    ]
    for cell, found in results.items():
        cells = [_figure(found[name]) for name in names]
        ratios = [_ratio(found, peer, wanted[cell]) for peer in ("nginx", "Caddy")]
        lines.append(f"| {cell} | {' | '.join(cells + ratios)} |")
    lines += [
        "",
        f"| | {' | '.join(names)} |",
        f"|---|{'---:|' * len(names)}",
        f"| MB (PSS) after the start | {' | '.join(f'{idle[name]:.0f}' for name in names)} |",
        f"| MB (PSS) after all of the above | {' | '.join(f'{loaded[name]:.0f}' for name in names)} |",
        f"| first answer after the start | {' | '.join(f'{peer.started:.2f} s' for peer in peers)} |",
        "",
    ]
    return "\n".join(lines)


def _figure(result: Result) -> str:
    latency = f"<br>{result.p50:.2f} / {result.p99:.1f}" if result.p50 is not None and result.p99 is not None else ""
    return f"{result.rate:,.0f}{latency}<br>{result.cpu:.0f} µs"


def _ratio(found: dict[str, Result], peer: str, cell: Cell) -> str:
    if peer not in found or not found[peer].rate:
        return "-"
    ratio = found["stores"].rate / found[peer].rate
    least = {"nginx": cell.nginx, "Caddy": cell.caddy}[peer]
    return f"{ratio:.2f}" + (f" (≥ {least:g})" if least else "")


if __name__ == "__main__":
    main()
