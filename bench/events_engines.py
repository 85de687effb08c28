"""Real nats-server and redis-server for `bench.events`, and what their own clients reach without us."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import nats
from nats.aio.msg import Msg
from redis.asyncio import Redis

from bench.events_load import BODY, Result

PROGRAMS = {"nats": "nats-server", "redis": "redis-server"}
#: The first nats-server that can sync each write.
SYNCS_ALWAYS = (2, 10)
#: Appends one event, and returns once the engine has acknowledged it.
Append = Callable[[bytes], Awaitable[object]]


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
        sync = " sync_interval: always," if nats_version() >= SYNCS_ALWAYS else ""
        jetstream = f'jetstream {{{sync} store_dir: "{folder}" }}'
        config.write_text(f'listen: "127.0.0.1:{port}"\nmax_payload: 4MB\n{jetstream}\n')
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


def nats_version() -> tuple[int, ...]:
    """Of the server that is installed: ``nats-server: v2.9.10``."""
    told = subprocess.run([PROGRAMS["nats"], "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in re.findall(r"\d+", told)[:3])


def promise() -> str:
    """What an acknowledgement of NATS' means, as it is measured here."""
    if shutil.which(PROGRAMS["nats"]) is None:
        return "NATS is not installed."
    version = nats_version()
    name = f"nats-server {'.'.join(map(str, version))}"
    if version >= SYNCS_ALWAYS:
        return f"{name}: `sync_interval: always`."
    return f"{name} writes to its file before it answers and syncs that every two minutes: it promises less (2.10 can)."


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


async def raw(url: str, stream: str, publishers: int, count: int, *, subscribed: bool) -> Result:
    """What the engine's own client does: a connection for each publisher, and one for a subscriber."""
    async with contextlib.AsyncExitStack() as stack:
        connect, listen = (_nats, _hear_nats) if url.startswith("nats:") else (_redis, _hear_redis)
        appends = [await connect(url, stream, stack) for _ in range(publishers)]
        begun: list[float] = []
        acknowledged: list[float] = []
        arrived: list[tuple[int, float]] = []
        everything = asyncio.Event()

        def heard(data: bytes) -> None:
            arrived.append((int(data), time.perf_counter()))
            if len(arrived) == count:
                everything.set()

        if subscribed:
            await listen(url, stream, stack, heard)
        await asyncio.gather(*(_publish(append, count, begun, acknowledged) for append in appends))
        rate = count / (time.perf_counter() - begun[0])
        if subscribed:
            await asyncio.wait_for(everything.wait(), 60)
    delivered = tuple((at - begun[number]) * 1000 for number, at in arrived)
    return Result(rate, acknowledged, count / (arrived[-1][1] - begun[0]) if arrived else 0.0, delivered)


async def _publish(append: Append, count: int, begun: list[float], acknowledged: list[float]) -> None:
    while (number := len(begun)) < count:
        at = time.perf_counter()
        begun.append(at)
        await append(b"%d" % number + b" " * (len(BODY) - len(str(number))))
        acknowledged.append((time.perf_counter() - at) * 1000)


async def _nats(url: str, stream: str, stack: contextlib.AsyncExitStack) -> Append:
    client = await nats.connect(url)
    stack.push_async_callback(client.close)
    jet = client.jetstream()
    await jet.add_stream(name=stream, subjects=[stream])  # the same again is fine
    return lambda data: jet.publish(stream, data)


async def _hear_nats(url: str, stream: str, stack: contextlib.AsyncExitStack, heard: Callable[[bytes], None]) -> None:
    client = await nats.connect(url)
    stack.push_async_callback(client.close)

    async def take(message: Msg) -> None:
        heard(message.data)

    await client.jetstream().subscribe(stream, cb=take, ordered_consumer=True)


async def _redis(url: str, stream: str, stack: contextlib.AsyncExitStack) -> Append:
    client = Redis.from_url(url)
    stack.push_async_callback(client.aclose)
    await client.ping()
    return lambda data: client.xadd(stream, {b"e": data})


async def _hear_redis(url: str, stream: str, stack: contextlib.AsyncExitStack, heard: Callable[[bytes], None]) -> None:
    client = Redis.from_url(url)
    stack.push_async_callback(client.aclose)

    async def take() -> None:
        after = b"0"
        while True:
            found: Any = await client.xread({stream: after}, block=0)  # its type also covers another protocol's answer
            for _, entries in found or []:
                for _, fields in entries:
                    heard(fields[b"e"])
                after = entries[-1][0]

    task = asyncio.create_task(take())
    stack.callback(task.cancel)
