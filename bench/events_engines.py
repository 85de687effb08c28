"""Real nats-server and redis-server for `bench.events`, and what their own clients reach without us."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import nats
from redis.asyncio import Redis

from bench.events_load import BODY

PROGRAMS = {"nats": "nats-server", "redis": "redis-server"}
#: Appends one event, and returns once the engine has acknowledged it.
Append = Callable[[], Awaitable[object]]


@contextlib.contextmanager
def server(kind: str, folder: Path) -> Iterator[str | None]:
    """Its URL; None where it is not installed. On a free port, its state in the folder."""
    if shutil.which(PROGRAMS[kind]) is None:
        yield None
        return
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    if kind == "nats":
        config = folder / "nats.conf"
        config.write_text(f'listen: "127.0.0.1:{port}"\nmax_payload: 4MB\njetstream {{ store_dir: "{folder}" }}\n')
        command = ["nats-server", "-c", str(config)]
    else:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
        command += ["--appendonly", "yes", "--appendfsync", "always"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _until_it_listens(port)
        yield f"{kind}://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _until_it_listens(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


async def raw(url: str, stream: str, publishers: int, count: int) -> tuple[float, list[float]]:
    """Appended a second by the engine's own client, a connection for each publisher; seconds to each answer."""
    async with contextlib.AsyncExitStack() as stack:
        connect = _nats if url.startswith("nats:") else _redis
        appends = [await connect(url, stream, stack) for _ in range(publishers)]
        left = iter(range(count))
        times: list[float] = []
        begun = time.perf_counter()
        await asyncio.gather(*(_publish(append, left, times) for append in appends))
        return count / (time.perf_counter() - begun), times


async def _publish(append: Append, left: Iterator[int], times: list[float]) -> None:
    for _ in left:
        begun = time.perf_counter()
        await append()
        times.append(time.perf_counter() - begun)


async def _nats(url: str, stream: str, stack: contextlib.AsyncExitStack) -> Append:
    client = await nats.connect(url)
    stack.push_async_callback(client.close)
    jet = client.jetstream()
    await jet.add_stream(name=stream, subjects=[stream])  # the same again is fine
    return lambda: jet.publish(stream, BODY)


async def _redis(url: str, stream: str, stack: contextlib.AsyncExitStack) -> Append:
    client = Redis.from_url(url)
    stack.push_async_callback(client.aclose)
    await client.ping()
    return lambda: client.xadd(stream, {b"e": BODY})
