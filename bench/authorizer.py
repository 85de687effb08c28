"""`python -m bench authorizer`: what the authorizer adds to a request at the API gateway; writes a page.

The page is ``docs/bench/authorizer.md``. One gateway, one origin, one connection for each way to call, all ways in turn
request by request: what the machine does meanwhile, it does to all of them.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.gateway_peers import DOMAIN, HOSTS, gateway, origin, service
from certs.authority import Authority
from procman.api_route import ApiRoute
from procman.authorizer_settings import AuthorizerSettings
from procman.identity import Identity
from proxy_addons.issuer.issuer import Issuer, Terms

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
#: Requests of each way in a round.
REQUESTS = int(os.environ.get("BENCH_REQUESTS", "200"))
PAGE = Path(__file__).parent.parent / "docs" / "bench" / "authorizer.md"
#: Milliseconds that the authorizer may add, at the median.
WANTED = 0.3

ALICE = Identity("alice", "user-1", ("org:read", "org:write"), {"email": "alice@example.com", "org": "acme"})
ROUTES = {
    "open": ApiRoute("/open", strip_prefix=True, auth="none"),
    "closed": ApiRoute("/closed", strip_prefix=True, scopes=("org:read",)),
}


@dataclass(frozen=True, slots=True)
class Way:
    """One way to call: the route, and what the request says of its caller."""

    name: str
    route: str
    headers: str = ""


class Connection:
    """Asks again and again on one connection."""

    def __init__(self, port: int, way: Way) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = f"GET /{way.route}/1k HTTP/1.1\r\nHost: api-gateway.{DOMAIN}\r\n{way.headers}\r\n"
        self._question = head.encode()
        answer = self._exchange()
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"{way.name}: {answer!r}")

    def _exchange(self) -> bytes:
        self._socket.sendall(self._question)
        answer = self._socket.recv(65536)
        while b"\r\n\r\n" not in answer:
            answer += self._socket.recv(65536)
        head, _, body = answer.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        missing = int(lengths[0]) - len(body)
        while missing > 0:
            missing -= len(self._socket.recv(65536))
        return answer

    def ask(self) -> float:
        """Milliseconds to the answer's last byte."""
        began = time.perf_counter()
        self._exchange()
        return 1000 * (time.perf_counter() - began)

    def close(self) -> None:
        self._socket.close()


def measure(port: int, ways: list[Way]) -> list[list[float]]:
    """For each way, the median of each round."""
    connections = [Connection(port, way) for way in ways]
    for _ in range(REQUESTS // 2):
        for connection in connections:
            connection.ask()
    medians: list[list[float]] = [[] for _ in ways]
    for _ in range(ROUNDS):
        found: list[list[float]] = [[] for _ in ways]
        for _ in range(REQUESTS):
            for times, connection in zip(found, connections, strict=True):
                times.append(connection.ask())
        for each, times in zip(medians, found, strict=True):
            each.append(statistics.median(times))
    for connection in connections:
        connection.close()
    return medians


def main() -> None:
    if shutil.which("nginx") is None:
        raise SystemExit("nginx, the origin, is not installed: sudo apt install nginx")
    settings = AuthorizerSettings(default="alice")
    with tempfile.TemporaryDirectory(prefix="stores-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the origin's worker is another user
        authority = Authority.load_or_create(folder / "ca", DOMAIN)
        with origin(folder / "origin") as port:
            first = service(HOSTS[0].partition(".")[0], port)  # what `gateway` asks until it answers
            services = (first, *(service(name, port, api) for name, api in ROUTES.items()))
            told = {"services": services, "identities": (ALICE,), "authorizer": settings}
            with gateway(folder / "gateway", port, authority, **told) as peer:
                issuer = Issuer(folder / "gateway" / "state" / "issuer", lambda: Terms.of(DOMAIN, settings))
                ways = _ways(issuer.sign(ALICE))
                medians = measure(peer.http, ways)
    PAGE.write_text(_page(ways, medians), encoding="utf-8")
    print(f"-> {PAGE}")


def _ways(token: str) -> list[Way]:
    return [
        Way('`auth = "none"`', "open"),
        Way("the default identity, or `stores as`", "closed"),
        Way("`Stores-As: alice`", "closed", "Stores-As: alice\r\n"),
        Way("a bearer token of ours, verified (ES256)", "closed", f"Authorization: Bearer {token}\r\n"),
    ]


def _page(ways: list[Way], medians: list[list[float]]) -> str:
    python = f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores"
    text = f"""# What the authorizer costs

Written by `python -m bench authorizer`: milliseconds of one request at the API gateway, medians of {ROUNDS} rounds of
{REQUESTS} requests each, the ways to call in turn request by request, one connection each. {python}; the
load average was {os.getloadavg()[0]:.1f}. Wanted: at most {WANTED} ms more than the same route with `auth = "none"`.

| who calls is told by | ms (least to most) | added (least to most) |
| --- | ---: | ---: |
"""
    for way, times in zip(ways, medians, strict=True):
        added = [one - other for one, other in zip(times, medians[0], strict=True)]
        text += f"| {way.name} | {_spread(times)} | {_spread(added) if any(added) else ''} |\n"
    return text


def _spread(times: list[float]) -> str:
    return f"{statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f})"


if __name__ == "__main__":
    main()
