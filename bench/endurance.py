"""`python -m bench endurance`: what the gateway holds out; writes ``docs/bench/endurance.md``.

Its memory under load that goes on, what plain requests keep of their rate beside those that need mitmproxy, and what
looking a host up costs with few and with many services.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import websockets

from bench.gateway_peers import DOMAIN, HOSTS, Peer, free_ports, gateway, origin, running, service
from bench.load_generators import H2LOAD_RATE, WRK_RATE, figure
from certs.authority import Authority
from procman.snapshot import DnsStatus, GatewayStatus, RemoteStatus, Snapshot
from proxy_addons.site import Site
from proxy_addons.view import View

PAGE = Path(__file__).parent.parent / "docs" / "bench" / "endurance.md"
REQUESTS, MESSAGES, GIGABYTE = 100_000, 10_000, 1 << 30
ROUNDS = 5
SECONDS = 3
#: Slow requests a second, over sixteen connections.
SLOW = 500

#: Answers an upload with its size, and a WebSocket with what it says. One process, so that it costs the gateway little.
_SINK = """
import asyncio, sys, websockets
async def echo(socket):
    async for message in socket:
        await socket.send(message)
async def upload(reader, writer):
    left = 0
    for line in (await reader.readuntil(b"\\r\\n\\r\\n")).lower().split(b"\\r\\n"):
        left = int(line[16:]) if line.startswith(b"content-length: ") else left
    size = left
    while left:
        left -= len(await reader.read(min(left, 1 << 20)))
    writer.write(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n\\r\\n%d" % size)
    await writer.drain()
    writer.close()
async def main():
    await asyncio.start_server(upload, "127.0.0.1", int(sys.argv[1]), limit=1 << 20)
    async with websockets.serve(echo, "127.0.0.1", int(sys.argv[2]), compression=None):
        await asyncio.Event().wait()
asyncio.run(main())
"""


def main() -> None:
    """Measures and writes the page."""
    load = os.getloadavg()[0]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
        folder.chmod(0o755)
        authority = Authority.load_or_create(folder / "ca", DOMAIN)
        files = folder / "origin"
        port = stack.enter_context(origin(files))
        with (files / "1g").open("wb") as large:
            large.truncate(GIGABYTE)
        sink, echo = free_ports(2)
        (folder / "sink").mkdir()
        command = [sys.executable, "-c", _SINK, str(sink), str(echo)]
        stack.enter_context(running(command, folder / "sink"))
        ports = {HOSTS[1]: sink, HOSTS[2]: echo}
        services = tuple(service(host.partition(".")[0], ports.get(host, port)) for host in HOSTS)
        peer = stack.enter_context(gateway(folder / "gateway", port, authority, services=services))
        time.sleep(SECONDS)  # mitmproxy is imported after the first answer
        memory = _memory(peer, folder)
        kept = _kept(peer)
        idle = _idle(peer)
    lookups = {count: _look_up(count) for count in (10, 1_000, 100_000)}
    PAGE.write_text(_page(load, memory, kept, idle, lookups))
    print(PAGE.read_text())


def _memory(peer: Peer, folder: Path) -> list[tuple[str, float]]:
    loads: list[tuple[str, Callable[[], object]]] = [
        (f"{REQUESTS:,} requests on 16 connections", lambda: _requests(peer, REQUESTS)),
        (f"{REQUESTS:,} more", lambda: _requests(peer, REQUESTS)),
        (f"{MESSAGES:,} messages of 1 kB there and back on a WebSocket", lambda: asyncio.run(_websocket(peer))),
        (f"{MESSAGES:,} more", lambda: asyncio.run(_websocket(peer))),
        ("1 GB down", lambda: _curl(peer, HOSTS[0], "/1g")),
        ("1 GB up", lambda: _curl(peer, HOSTS[1], "/", "-T", str(folder / "origin" / "1g"))),
        ("1 GB down, over TLS and HTTP/2", lambda: _curl(peer, HOSTS[0], "/1g", secure=True)),
    ]
    found = [("after the start", peer.pss)]
    for name, run in loads:
        run()
        found.append((name, peer.pss))
        print(*found[-1], flush=True)
    return found


def _requests(peer: Peer, count: int) -> None:
    url = f"http://{HOSTS[0]}:{peer.http}/1k"
    _h2load(peer, "-c", "16", "-n", str(count), url)


def _h2load(peer: Peer, *arguments: str) -> str:
    command = ["h2load", "--h1", "-t1", f"--connect-to=127.0.0.1:{peer.http}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


async def _websocket(peer: Peer) -> None:
    message = b"x" * 1024
    url = f"ws://{HOSTS[2]}:{peer.http}/"
    async with websockets.connect(url, host="127.0.0.1", port=peer.http, compression=None) as socket:
        for _ in range(MESSAGES):
            await socket.send(message)
            await socket.recv()


def _curl(peer: Peer, host: str, path: str, *options: str, secure: bool = False) -> None:
    scheme, port = ("https", peer.https) if secure else ("http", peer.http)
    command = ["curl", "-skf", "-o", os.devnull, "--resolve", f"{host}:{port}:127.0.0.1", *options]
    subprocess.run([*command, f"{scheme}://{host}:{port}{path}"], check=True)


def _kept(peer: Peer) -> dict[int, tuple[float, float, float]]:
    """By connections: the plain requests' rate alone, beside slow ones, and the slow ones' own."""
    found = {}
    for connections in (1, 16, 64):
        alone, beside, slow = [], [], []
        for _ in range(ROUNDS):
            alone.append(_plain(peer, connections))
            url = f"http://nobody.{DOMAIN}:{peer.http}/"
            command = ["h2load", "--h1", "-t1", f"--connect-to=127.0.0.1:{peer.http}", "-c16", f"--rps={SLOW / 16}"]
            with subprocess.Popen(
                [*command, "-D", str(SECONDS + 1), url], stdout=subprocess.PIPE, text=True
            ) as process:
                time.sleep(0.5)  # until they all have come
                beside.append(_plain(peer, connections))
                slow.append(figure(process.communicate()[0], H2LOAD_RATE))
        found[connections] = (statistics.median(alone), statistics.median(beside), statistics.median(slow))
        print(connections, found[connections], flush=True)
    return found


def _plain(peer: Peer, connections: int) -> float:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-H", f"Host: {HOSTS[3]}"]
    out = subprocess.run(
        [*command, f"http://127.0.0.1:{peer.http}/1k"], capture_output=True, text=True, check=True
    ).stdout
    return figure(out, WRK_RATE)


def _idle(peer: Peer) -> tuple[int, float]:
    """Wake-ups and CPU seconds in half a minute in which nobody asks; after the last connection's time is over."""
    time.sleep(90)
    before, cpu = _switches(peer), peer.cpu
    time.sleep(30)
    return _switches(peer) - before, peer.cpu - cpu


def _switches(peer: Peer) -> int:
    total = 0
    for pid in peer.pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int(figure((task / "status").read_text(), r"\nvoluntary_ctxt_switches:\s+(\d+)"))
    return total


def _look_up(count: int) -> float:
    """Microseconds for one look at a new host, among `count` services that have a wildcard each."""
    names = [f"s{number}" for number in range(count)]
    view = View(
        Snapshot(
            workspace="/",
            domain=DOMAIN,
            pid=0,
            gateway=GatewayStatus(80, 443),
            dns=DnsStatus(),
            remote=RemoteStatus(),
            services=tuple(dataclasses.replace(service(name, 3000), hosts=(name, f"*.{name}")) for name in names),
        )
    )
    sites = [Site("http", f"a.b.{names[number * 7919 % count]}.{DOMAIN}", 80) for number in range(2_000)]
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for site in sites:
            view.decide(site)
        rounds.append((time.perf_counter() - began) / len(sites) * 1e6)
    return statistics.median(rounds)


def _page(
    load: float,
    memory: list[tuple[str, float]],
    kept: dict[int, tuple[float, float, float]],
    idle: tuple[int, float],
    lookups: dict[int, float],
) -> str:
    lines = [
        "# What the gateway holds out",
        "",
        f"Written by `python -m bench endurance`, on Python {platform.python_version()} and {os.cpu_count()} cores,",
        f"which gateway, clients and services share; load average before it: {load:.1f}.",
        "",
        "Memory, one load after the other in one life of the gateway (wanted: flat, and at most 70 MB):",
        "",
        "| | MB (PSS) |",
        "|---|---:|",
        *(f"| {name} | {size:.0f} |" for name, size in memory),
        "",
        f"Plain requests (1 kB) beside {SLOW} a second that are offered and go through mitmproxy, medians of {ROUNDS}",
        f"rounds of {SECONDS} s (wanted: they keep 60 % of their rate):",
        "",
        "| connections | alone | beside slow ones | kept | slow ones a second |",
        "|---:|---:|---:|---:|---:|",
        *(f"| {n} | {a:,.0f} | {b:,.0f} | {b / a:.0%} | {s:.0f} |" for n, (a, b, s) in kept.items()),
        "",
        f"Nobody asks: {idle[0]} wake-ups and {idle[1] * 1000:.0f} ms of CPU in 30 s.",
        "",
        "Where a host goes, looked up for the first time (later it is remembered), by the number of services:",
        "",
        "| services | µs |",
        "|---:|---:|",
        *(f"| {count:,} | {cost:.1f} |" for count, cost in lookups.items()),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
