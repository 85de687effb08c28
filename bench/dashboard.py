"""What the dashboard costs the gateway: nobody looks, somebody looks at services, at the traffic; afterwards.

Writes ``docs/bench/dashboard.md``. CPU of the gateway for one request is what counts: it differs less from run to run
than requests a second do, on a machine that has other work.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import platform
import shutil
import socket
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench.gateway import ROUNDS
from bench.gateway_peers import DOMAIN, Peer, gateway, origin
from bench.load_generators import SECONDS, Result, wrk
from certs.authority import Authority
from procman.dashboard_token import kept

PAGE = Path(__file__).parent.parent / "docs" / "bench" / "dashboard.md"
#: What somebody looks at, and how the page says so.
LOOKS = {
    "nobody looks": "",
    "a page shows services": "services,states",
    "a page shows the traffic": "traffic,services,states",
    "nobody looks any more": "",
}


class Browser:
    """Asks as a program does, and reads a stream as fast as it comes."""

    def __init__(self, peer: Peer, token: str) -> None:
        self._port = peer.http
        self._fields = {"Host": f"stores.localhost:{peer.http}", "Authorization": f"Bearer {token}"}

    def get(self, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request("GET", path, headers=self._fields)
            return connection.getresponse().read()
        finally:
            connection.close()

    @contextlib.contextmanager
    def looking(self, topics: str) -> Iterator[None]:
        if not topics:
            yield
            return
        lines = [
            f"GET /api/v1/stream?topics={topics} HTTP/1.1",
            *(f"{k}: {v}" for k, v in self._fields.items()),
            "",
            "",
        ]
        with socket.create_connection(("127.0.0.1", self._port)) as connection:
            connection.sendall("\r\n".join(lines).encode())
            connection.recv(65536)
            reader = threading.Thread(target=lambda: list(iter(lambda: connection.recv(1 << 20), b"")))
            reader.start()
            try:
                yield
            finally:
                connection.shutdown(socket.SHUT_RDWR)
                reader.join()


def main() -> None:
    """Measures, prints and writes the page."""
    if shutil.which("wrk") is None or shutil.which("nginx") is None:
        raise SystemExit("wrk or nginx is not installed: sudo apt install nginx wrk")
    load = os.getloadavg()[0]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
        folder.chmod(0o755)
        port = stack.enter_context(origin(folder / "origin"))
        authority = Authority.load_or_create(folder / "ca", DOMAIN)
        peer = stack.enter_context(gateway(folder / "gateway", port, authority))
        browser = Browser(peer, kept(folder / "gateway" / "state"))
        urllib.request.urlopen(f"http://127.0.0.1:{peer.http}/proxy.pac").close()  # by mitmproxy, which is loaded then
        memory, began = peer.pss, time.monotonic()
        browser.get("/")
        first = time.monotonic() - began
        results = _measure(peer, browser)
        PAGE.write_text(_page(results, first, memory, peer.pss, load))
    print(PAGE.read_text())


def _measure(peer: Peer, browser: Browser) -> dict[str, Result]:
    """In turn, so that the machine's other work falls on all of them."""
    run = wrk("1k", 16)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in LOOKS}
    for _ in range(ROUNDS):
        for name, topics in LOOKS.items():
            with browser.looking(topics):
                before = peer.cpu
                rate = run(peer).rate
                found[name].append((rate, (peer.cpu - before) / (rate * SECONDS) * 1e6))
    return {name: Result(*map(statistics.median, zip(*runs, strict=True))) for name, runs in found.items()}


def _page(results: dict[str, Result], first: float, before: float, after: float, load: float) -> str:
    lines = [
        "# What the dashboard costs",
        "",
        f"`python -m bench dashboard`, {ROUNDS} runs of {SECONDS:g} s each, in turn, medians; Python",
        f"{platform.python_version()}, {os.cpu_count()} cores, which all share; load before it began: {load:.1f}.",
        "HTTP/1, 1 kB, 16 connections, 50 hosts. Requests a second move with the machine's other work: trust the CPU.",
        "",
        "| | requests a second | CPU of the gateway for one, µs |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {result.rate:,.0f} | {result.cpu:.1f} |" for name, result in results.items()),
        "",
        f"The first visit loads the dashboard's code and is answered in {first * 1000:.0f} ms. The gateway has",
        f"{before:.0f} MB (PSS) before it and {after:.0f} MB after all of the above, 2,000 requests included.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
