"""`python -m bench events`: events a second, to the acknowledgement and to the subscriber; writes a page.

The page is ``docs/bench/events.md``. The broker is a process of its own on a fresh file; publishers and a subscriber
share the cores with it. Beside it, in the same round: Redis Streams with the same promise (append-only file, an fsync
for each answer), asked by redis-benchmark.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
EVENTS = int(os.environ.get("BENCH_EVENTS", "6000"))
PAGE = Path(__file__).parent.parent / "docs" / "bench" / "events.md"
BODY = b'{"x": "' + b"x" * 1000 + b'"}'

#: The broker, with so many subscriptions that all lead to one subscriber.
_BROKER = """
import asyncio, sys
from pathlib import Path
from procman.subscription import Subscription
from proxy_addons.event_loop import loop_factory
from proxy_addons.events.broker import Broker, Limits, Surroundings
from proxy_addons.events.http_server import HttpServer
from proxy_addons.events.loopback import listen
from proxy_addons.events.sender import Subscriber

async def main(file, subscriber, count):
    broker = await Broker.open(Path(file), Limits(), Surroundings())
    wish = Subscription(("**",), order="none", concurrency=16)
    here = (("127.0.0.1", int(subscriber)),)
    await broker.follow([Subscriber(f"s{n}", wish, "localhost", here) for n in range(int(count))])
    listeners = listen(0)
    await HttpServer(broker.answer).serve(listeners)
    print(listeners[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()

with asyncio.Runner(loop_factory=loop_factory()) as runner:
    runner.run(main(*sys.argv[1:]))
"""


@dataclass(frozen=True, slots=True)
class Result:
    """One measurement. Times in milliseconds."""

    rate: float
    ack: list[float]
    delivered: list[float]


class Subscriber(asyncio.Protocol):
    """Answers 204 to whatever comes, and notes when which event came."""

    arrived: dict[bytes, float] = {}  # noqa: RUF012 - one subscriber a run

    def __init__(self) -> None:
        self.data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = self.data[:end].lower()
            length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            if len(self.data) < end + 4 + length:
                return
            self.data = self.data[end + 4 + length :]
            self.arrived.setdefault(head.split(b"ce-id: ")[1].split(b"\r\n")[0], time.perf_counter())
            self.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


@contextlib.contextmanager
def broker(folder: Path, subscriber: int, subscriptions: int) -> Iterator[int]:
    """Its port."""
    command = [sys.executable, "-O", "-c", _BROKER, str(folder / "e.sqlite3"), str(subscriber), str(subscriptions)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


async def publisher(port: int, name: int, count: int, pause: float, sent: dict[bytes, float], ack: list[float]) -> None:
    """One connection, one event after another."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in range(count):
        event_id = f"{name}-{number}".encode()
        head = (
            b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nce-specversion: 1.0\r\nce-type: com.example.bench\r\n"
            b"ce-source: /bench\r\nContent-Type: application/json\r\nce-id: %b\r\nContent-Length: %d\r\n\r\n"
        )
        begun = sent[event_id] = time.perf_counter()
        writer.write(head % (event_id, len(BODY)) + BODY)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert b" 202 " in answer, answer
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        ack.append((time.perf_counter() - begun) * 1000)
        if pause:
            await asyncio.sleep(max(0.0, pause - (time.perf_counter() - begun)))
    writer.close()


async def measure(publishers: int, subscriptions: int, count: int, pause: float = 0.0) -> Result:
    """`count` events in all; `pause`: seconds from one event of a publisher to its next."""
    Subscriber.arrived = {}
    server = await asyncio.get_running_loop().create_server(Subscriber, "127.0.0.1", 0)
    sent: dict[bytes, float] = {}
    ack: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        with broker(Path(folder), server.sockets[0].getsockname()[1], subscriptions) as port:
            begun = time.perf_counter()
            each = count // publishers
            await asyncio.gather(*(publisher(port, n, each, pause, sent, ack) for n in range(publishers)))
            rate = publishers * each / (time.perf_counter() - begun)
            async with asyncio.timeout(120):
                while len(Subscriber.arrived) < len(sent):  # noqa: ASYNC110 - nothing is measured any more
                    await asyncio.sleep(0.05)
        server.close()
    delivered = [(at - sent[event_id]) * 1000 for event_id, at in Subscriber.arrived.items()]
    return Result(rate, ack, delivered)


def redis(publishers: int, count: int) -> float | None:
    """Appended to a stream a second, durably; None where Redis is not installed."""
    if not shutil.which("redis-server") or not shutil.which("redis-benchmark"):
        return None
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        options = [
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--save",
            "",
            "--dir",
            folder,
            "--bind",
            "127.0.0.1",
        ]
        server = subprocess.Popen(["redis-server", "--port", port, *options], stdout=subprocess.DEVNULL)
        try:
            _until_it_listens(int(port))
            asked = ["redis-benchmark", "-p", port, "-c", str(publishers), "-n", str(count), "--csv"]
            done = subprocess.run(
                [*asked, "xadd", "s", "*", "e", BODY.decode()], capture_output=True, text=True, check=True, timeout=120
            )
            return float(done.stdout.strip().splitlines()[-1].rsplit('",')[1].strip('"').split('"')[0])
        finally:
            server.terminate()
            server.wait()


def _until_it_listens(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)


def _spread(values: list[float]) -> str:
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 2]:.1f} / {ordered[int(len(ordered) * 0.99)]:.1f}"


def main() -> None:
    """All rows, round by round; the middle one of each is written."""
    rows: list[tuple[str, int, int, int, float]] = [
        ("1 publisher, 1 subscription", 1, 1, EVENTS // 4, 0.0),
        ("32 publishers, 1 subscription", 32, 1, EVENTS, 0.0),
        ("32 publishers, 10 subscriptions", 32, 10, EVENTS // 2, 0.0),
        ("32 publishers, nobody subscribes", 32, 0, EVENTS, 0.0),
        ("100 events/s, 1 subscription", 1, 1, 300, 0.01),
    ]
    lines = [
        "| | acknowledged/s | ms to the acknowledgement, p50 / p99 | ms to the subscriber, p50 / p99 | Redis, XADD/s |"
    ]
    lines.append("| --- | --- | --- | --- | --- |")
    facts = {}
    for name, publishers, subscriptions, count, pause in rows:
        results, peers = [], []
        for _ in range(ROUNDS):
            results.append(asyncio.run(_measured(publishers, subscriptions, count, pause)))
            if not pause and (peer := redis(publishers, count)) is not None:
                peers.append(peer)
        middle = sorted(results, key=lambda result: result.rate)[len(results) // 2]
        delivered = _spread(middle.delivered) if middle.delivered else "-"
        peer_text = f"{statistics.median(peers):,.0f}" if peers else "-"
        lines.append(f"| {name} | {middle.rate:,.0f} | {_spread(middle.ack)} | {delivered} | {peer_text} |")
        facts[name] = round(middle.rate)
        print(lines[-1], flush=True)
    about = (
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores "
        f"(load {os.getloadavg()[2]:.1f} in 15 minutes), {ROUNDS} rounds, the middle one by rate; 1 kB of "
        "data, `synchronous=FULL`; Redis with `appendfsync always`. Publishers, subscriber and broker share the cores."
    )
    PAGE.write_text("# Events\n\nWritten by `python -m bench events`. " + about + "\n\n" + "\n".join(lines) + "\n")
    print(json.dumps(facts))


async def _measured(publishers: int, subscriptions: int, count: int, pause: float) -> Result:
    if subscriptions:
        return await measure(publishers, subscriptions, count, pause)
    sent: dict[bytes, float] = {}
    ack: list[float] = []
    with tempfile.TemporaryDirectory() as folder, broker(Path(folder), 1, 0) as port:
        begun = time.perf_counter()
        each = count // publishers
        await asyncio.gather(*(publisher(port, n, each, pause, sent, ack) for n in range(publishers)))
        return Result(publishers * each / (time.perf_counter() - begun), ack, [])
