"""Publishers, subscribers and the broker's process, for `bench.events`.

Publishers and subscribers share one process and so one clock; they do as little as they can, for they share the
cores with the broker.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent
#: 1 kB of JSON.
BODY = b'{"x": "' + b"x" * 991 + b'"}'
_EVENT = (
    b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nce-specversion: 1.0\r\nce-type: com.example.bench\r\n"
    b"ce-source: /bench\r\nContent-Type: application/json\r\nce-id: %%d\r\nContent-Length: %d\r\n\r\n%b"
) % (len(BODY), BODY)


@contextlib.contextmanager
def broker(folder: Path, ports: list[int], engine: str = "") -> Iterator[tuple[int, psutil.Process]]:
    """Its port, and its process. A subscription leads to each of the ports."""
    file, places = str(folder / "e.sqlite3"), ",".join(map(str, ports))
    command = [sys.executable, "-O", "-m", "bench.events_broker", file, places, engine]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            assert process.stdout
            yield int(process.stdout.readline()), psutil.Process(process.pid)
        finally:
            process.terminate()


@dataclass(frozen=True, slots=True)
class Result:
    """One measurement. Events and deliveries a second; milliseconds; CPU of the broker in µs for an event."""

    rate: float
    acknowledged: list[float]
    deliveries: float = 0.0
    delivered: tuple[float, ...] = ()
    cpu: float = 0.0


class Talk(asyncio.Protocol, ABC):
    """Cuts what comes into messages with a Content-Length, or none and no body."""

    def __init__(self) -> None:
        self._data = b""

    def connection_made(self, transport: Any) -> None:
        self.transport: asyncio.Transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n") + 4) >= 4:
            head = self._data[:end].lower()
            _, found, rest = head.partition(b"content-length: ")
            whole = end + (int(rest[: rest.index(b"\r")]) if found else 0)
            if len(self._data) < whole:
                return
            self._data = self._data[whole:]
            self.message(head)

    @abstractmethod
    def message(self, head: bytes) -> None:
        """One has come. `head` in lower case."""


class Subscriber(Talk):
    """Answers 204 to whatever comes, and tells the event's id and when it came."""

    def __init__(self, heard: Callable[[int, float], None]) -> None:
        super().__init__()
        self._heard = heard

    def message(self, head: bytes) -> None:
        at = time.perf_counter()
        start = head.index(b"ce-id: ") + 7
        self._heard(int(head[start : head.index(b"\r", start)]), at)
        self.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


@contextlib.asynccontextmanager
async def subscribers(count: int, heard: Callable[[int, float], None]) -> AsyncIterator[list[int]]:
    """Their ports."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(lambda: Subscriber(heard), "127.0.0.1", 0) for _ in range(count)]
    try:
        yield [server.sockets[0].getsockname()[1] for server in servers]
    finally:
        for server in servers:
            server.close()


class Load:
    """`count` requests over some connections, each with one under way. Times in seconds, by the event's number."""

    def __init__(self, count: int, request: Callable[[int], bytes] = lambda number: _EVENT % number) -> None:
        self.count = count
        self.request = request
        self.begun: list[float] = []
        self.acknowledged: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, port: int, connections: int, pause: float = 0.0) -> float:
        """The seconds from the first request to the last answer. `pause`: from one to the next; 0: at once."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        for _ in range(min(connections, self.count)):
            await loop.create_connection(lambda: Publisher(self, start, pause), "127.0.0.1", port)
        await self.done
        return time.perf_counter() - self.begun[0]


class Publisher(Talk):
    """One connection of a `Load`."""

    def __init__(self, load: Load, start: float, pause: float) -> None:
        super().__init__()
        self._load = load
        self._start = start
        self._pause = pause

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._send()

    def _send(self) -> None:
        number = len(self._load.begun)
        if number == self._load.count:
            self.transport.close()
            return
        self._sent = time.perf_counter()
        self._load.begun.append(self._sent)
        self.transport.write(self._load.request(number))

    def connection_lost(self, error: Exception | None) -> None:
        if not self._load.done.done() and len(self._load.begun) < self._load.count:
            self._load.done.set_exception(error or ConnectionResetError("the broker closed the connection"))

    def message(self, head: bytes) -> None:
        load = self._load
        if b" 202 " not in head and not load.done.done():
            load.done.set_exception(RuntimeError(head.decode()))
            return
        load.acknowledged.append(time.perf_counter() - self._sent)
        if len(load.acknowledged) == load.count and not load.done.done():
            load.done.set_result(None)
        if self._pause:
            due = self._start + len(load.begun) * self._pause
            asyncio.get_running_loop().call_at(due, self._send)
        else:
            self._send()
