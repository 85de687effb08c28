"""A backlog for `bench.events`: the broker's memory while it grows and shrinks, and whether its drain slows down."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.events_load import Load, broker, subscribers

#: Events of one request: about 240 kB.
_BATCH = 200
PARTS = 10


@dataclass(slots=True)
class Backlog:
    """Of each tenth: events a second, and the broker's own MB (USS) at its end. `empty`: MB before the first event."""

    events: int
    empty: float = 0.0
    published: list[float] = field(default_factory=list)
    filled: list[float] = field(default_factory=list)
    drained: list[float] = field(default_factory=list)
    emptied: list[float] = field(default_factory=list)


async def backlog(folder: Path, events: int) -> Backlog:
    """Publishes to a subscription that is paused, then lets it go on."""
    part = events // PARTS // _BATCH * _BATCH or _BATCH
    found = Backlog(part * PARTS)
    done = asyncio.Event()
    count, since = 0, 0.0
    process: psutil.Process

    def heard(_: int, at: float) -> None:
        nonlocal count, since
        count += 1
        if count % part == 0:
            found.drained.append(part / (at - since))
            found.emptied.append(_mb(process))
            since = time.perf_counter()
            if len(found.drained) == PARTS:
                done.set()

    async with subscribers(1, heard) as ports:
        with broker(folder, ports) as (front, process):
            found.empty = _mb(process)
            await _steer(front, "pause")
            for tenth in range(PARTS):
                load = Load(part // _BATCH, functools.partial(_batch, tenth * part))
                found.published.append(part / await load.run(front, 4))
                found.filled.append(_mb(process))
                print(f"backlog: {(tenth + 1) * part:,} published", flush=True)
            since = time.perf_counter()
            await _steer(front, "resume")
            await done.wait()
    return found


def _mb(process: psutil.Process) -> float:
    return process.memory_full_info().uss / 2**20


def _batch(first: int, number: int) -> bytes:
    """The request with the batch of this number, counted from the event `first` on."""
    first += number * _BATCH
    events = [
        {
            "specversion": "1.0",
            "type": "com.example.bench",
            "source": "/bench",
            "id": str(number),
            "datacontenttype": "application/json",
            "data": {"x": "x" * 991},
        }
        for number in range(first, first + _BATCH)
    ]
    body = json.dumps(events).encode()
    return (
        b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/cloudevents-batch+json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )


async def _steer(port: int, verb: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/subscriptions/s0/%b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n" % verb.encode())
    writer.write(b"Connection: close\r\n\r\n")
    said = await reader.read()
    writer.close()
    if b" 200 " not in said.partition(b"\r\n")[0]:
        raise RuntimeError(said.decode())
