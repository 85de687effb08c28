"""When a process answers: its port is open, an HTTP path answers 2xx or 3xx, or a line of its output matches."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable

from procman.process.output import Output

#: How long a process without port, path or pattern must live to count as ready, in seconds.
SETTLED_AFTER = 0.2

# The pauses between two looks, in seconds: a fast service is seen at once, a slow one costs little.
_FIRST_PAUSE, _LAST_PAUSE = 0.01, 0.25
_HTTP_PATIENCE = 5.0
# The same for where it listens instead: a look at all its processes costs 10 ms.
_FIRST_LOOK, _LAST_LOOK = 0.5, 8.0

# How much of an answer is read past its status, in bytes and seconds: some never end (a stream of events, a kept-alive
# connection), and what they send is not kept.
_BODY, _BODY_PATIENCE = 1024 * 1024, 1.0

#: So much of a line is matched, in bytes: ``.*ready.*`` looks through a line as often as it has characters.
LONGEST_LINE = 4096

Ready = Callable[[Output], Awaitable[None]]


async def settled(output: Output) -> None:  # noqa: ARG001 (all of these take the same)
    """It has lived for a moment: all that can be known of a worker."""
    await asyncio.sleep(SETTLED_AFTER)


def port(number: int) -> Ready:
    """It accepts connections on its port, on either loopback address."""

    async def ready(output: Output) -> None:  # noqa: ARG001 (as above)
        await _until(lambda: _accepts(number))

    return ready


def http(number: int, path: str, host: str) -> Ready:
    """``GET path`` on its port answers 2xx or 3xx. `host` is its own name, which frameworks check."""

    async def ready(output: Output) -> None:  # noqa: ARG001 (as above)
        await _until(lambda: _answers(number, path, host))

    return ready


async def elsewhere(name: str, number: int, listening: Callable[[], set[int]]) -> str:
    """Where the process listens instead of on its port, and the mend; returns once that was the same at two looks.

    It may still come: what opens a debugger's port, or a reloader's, opens its own later.
    """
    pause, found, before = _FIRST_LOOK, set[int](), set[int]()
    while not found or found != before or number in found:
        await asyncio.sleep(pause)
        pause, before, found = min(pause * 2, _LAST_LOOK), found, listening()
    others = ", ".join(map(str, sorted(found)))
    said = f"listens on {others} so far, and requests go to {number} ($PORT): let it listen there"
    return said if len(found) > 1 else f"{said}, or write port = {others} in Procfile.d/{name.partition('.')[0]}"


def log(pattern: str) -> Ready:
    """A line of its output, from this start on, matches the regular expression."""
    expression = re.compile(pattern.encode(), re.MULTILINE)

    async def ready(output: Output) -> None:
        seen = asyncio.get_running_loop().create_future()

        def look(lines: bytes) -> None:
            if expression.search(_cut(lines)) and not seen.done():
                seen.set_result(None)

        output.listeners.add(look)
        look(output.written())  # it may have been said to an earlier supervisor
        try:
            await seen
        finally:
            output.listeners.discard(look)

    return ready


def _cut(lines: bytes) -> bytes:
    if len(lines) <= LONGEST_LINE:
        return lines
    return b"\n".join(line[:LONGEST_LINE] for line in lines.split(b"\n"))


async def _until(probe: Callable[[], Awaitable[bool]]) -> None:
    """A process tells nobody that it has begun to listen, so it is asked; only while it starts."""
    pause = _FIRST_PAUSE
    while not await probe():
        await asyncio.sleep(pause)
        pause = min(pause * 1.2, _LAST_PAUSE)


async def _connect(number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    for address in ("127.0.0.1", "::1"):
        with contextlib.suppress(OSError):
            return await asyncio.open_connection(address, number)
    return None


async def _accepts(number: int) -> bool:
    connection = await _connect(number)
    if connection is None:
        return False
    connection[1].close()
    return True


async def _answers(number: int, path: str, host: str) -> bool:
    connection = await _connect(number)
    if connection is None:
        return False
    reader, writer = connection
    status = b""
    try:
        async with asyncio.timeout(_HTTP_PATIENCE):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nConnection: close\r\n\r\n".encode())
            status = await reader.readline()
        async with asyncio.timeout(_BODY_PATIENCE):
            await _leave(reader)
    except (OSError, TimeoutError, ValueError):
        pass  # the status counts, if there is one
    finally:
        writer.close()
    return bool(re.match(rb"HTTP/1\.[01] [23]\d\d", status))


async def _leave(reader: asyncio.StreamReader) -> None:
    """At the end of the answer, so that no service logs a client that went away; earlier, where that is far."""
    left = _BODY
    while left > 0 and (data := await reader.read(left)):
        left -= len(data)
