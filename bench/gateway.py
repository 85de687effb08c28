"""`python -m bench gateway`: how fast the gateway is beside nginx and Caddy; writes ``docs/bench/gateway.md``.

All run on this machine at once, one worker each for nginx and for us, Caddy as it comes; the load generator and the
origin share the cores with them. What counts is the ratio within a round, so rounds are short and alternate.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.gateway_peers import DOMAIN, HOSTS, Peer, caddy, gateway, nginx, origin
from certs.authority import Authority

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "2"))
PAGE = Path(__file__).parent.parent / "docs" / "bench" / "gateway.md"

#: Every request is for the next of the fifty hosts.
_HOSTS_LUA = """
local requests, at = {}, 0
local hosts = {%s}
function init()
  for i, host in ipairs(hosts) do
    wrk.headers["Host"] = host
    %s
    requests[i] = wrk.format("GET", wrk.path)
  end
end
function request()
  at = at %% #requests + 1
  return requests[at]
end
"""


@dataclass(frozen=True, slots=True)
class Result:
    """Requests a second; latency in milliseconds, where it is measured; microseconds of CPU for a request."""

    rate: float
    cpu: float = 0.0
    p50: float | None = None
    p99: float | None = None
    #: How many requests that were, where it is known better than by rate and time.
    answered: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing that is measured. `caddy` and `nginx`: the least ratio to them that we want."""

    name: str
    run: Callable[[Peer], Result]
    nginx: float = 0.0
    caddy: float = 0.0


#: Keeps wrk to TLS 1.2, in which it resumes its sessions; in TLS 1.3 it does not (it clears them before the ticket).
_TLS12 = """
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = default
[default]
MaxProtocol = TLSv1.2
"""


def wrk(
    size: str, connections: int, *, tls: bool = False, close: bool = False, resume: bool = False
) -> Callable[[Peer], Result]:
    def run(peer: Peer) -> Result:
        url = f"https://localhost:{peer.https}/{size}" if tls else f"http://127.0.0.1:{peer.http}/{size}"
        hosts = ", ".join(f'"{host}"' for host in HOSTS)
        with tempfile.TemporaryDirectory() as folder:
            script, tls12 = Path(folder) / "hosts.lua", Path(folder) / "openssl.cnf"
            script.write_text(_HOSTS_LUA % (hosts, 'wrk.headers["Connection"] = "close"' if close else ""))
            tls12.write_text(_TLS12)
            command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS:g}s", "--latency", "-s", str(script), url]
            environ = {**os.environ, "OPENSSL_CONF": str(tls12)} if resume else None
            out = subprocess.run(command, capture_output=True, text=True, check=True, env=environ).stdout
        if bad := re.search(r"Non-2xx.*|Socket errors: .*[1-9].*", out):
            print(f"  {peer.name}: {bad[0]}")
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])  # type: ignore[index]
        return Result(rate, 0.0, _milliseconds(out, "50%"), _milliseconds(out, "99%"))

    return run


def _milliseconds(out: str, label: str) -> float:
    number, unit = re.search(rf"{label}\s+([\d.]+)(us|ms|s)", out).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def h2load(size: str, connections: int, streams: int) -> Callable[[Peer], Result]:
    def run(peer: Peer) -> Result:
        url = f"https://{HOSTS[7]}:{peer.https}/{size}"
        command = ["h2load", "-c", str(connections), "-m", str(streams), "-t1", "-D", f"{SECONDS:g}"]
        command += ["--warm-up-time=0", f"--connect-to=127.0.0.1:{peer.https}", url]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if bad := re.search(r"[1-9]\d* (?:failed|errored|timeout)|[1-9]\d* [345]xx", out):
            print(f"  {peer.name}: {bad[0]}")
        return Result(float(re.search(r"finished in [^,]+, ([\d.]+) req/s", out)[1]))  # type: ignore[index]

    return run


def handshakes(connections: int) -> Callable[[Peer], Result]:
    """New clients, `connections` at a time, with a request each. h2load knows no sessions: each is a full handshake."""

    def run(peer: Peer) -> Result:
        url = f"https://{HOSTS[7]}:{peer.https}/1k"
        command = ["h2load", "--h1", "-c", str(connections), "-n", str(connections), "-t1"]
        command += [f"--connect-to=127.0.0.1:{peer.https}", url]
        answered, seconds = 0, 0.0
        while seconds < SECONDS:
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            answered += int(re.search(r"(\d+) 2xx", out)[1])  # type: ignore[index]
            seconds += _milliseconds(out, "finished in") / 1000
        return Result(answered / seconds, answered=answered)

    return run


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
