"""Receiving by the remote's stream of server-sent events: the quick way, where nothing between holds streams back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass

from proxy_addons.events import json_format
from proxy_addons.events.event import Event
from proxy_addons.events.http_client import Stream
from proxy_addons.events.remote import PATIENCE, RemoteBroker, accepted, same_log

#: Seconds for the stream's head, then for its first byte. A broker sends both at once; what takes longer than a slow
#: line does is held back by something between. Until then events are late by as much.
_HEAD, _FIRST = 5.0, 3.0
#: Seconds without a sign of life. The heart of a stream beats every 15.
_SILENCE = 45.0
#: A stream that ends sooner, in seconds, was cut, as the next one would be. Proxies let idle ones live for 30 or more.
_SHORTEST = 10.0
#: Bytes of one event on the stream: 1 MiB, a third more as base64, and its attributes.
_LARGEST = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Batch:
    """What came together, and the place after it."""

    events: tuple[tuple[int, Event], ...]
    cursor: int


class HeldBackError(Exception):
    """Something between us and the remote lets no stream through; the text says how that shows."""


async def follow(broker: RemoteBroker, log: str, after: int, types: Iterable[str]) -> AsyncGenerator[Batch, None]:
    """Without end; the first batch, which may be empty, comes with the stream's first byte.

    Raises `HeldBackError` where another way is to be tried, else what `RemoteBroker` raises.
    """
    loop = asyncio.get_running_loop()
    with contextlib.closing(broker.stream(after, types)) as stream:
        async with asyncio.timeout(PATIENCE):
            await stream.open()
        await _headed(stream, log)
        began, buffer, patience = loop.time(), b"", _FIRST
        while piece := await _piece(stream, patience, loop.time() - began):
            patience = _SILENCE
            *blocks, buffer = (buffer + piece).replace(b"\r\n", b"\n").split(b"\n\n")
            if len(buffer) > _LARGEST:
                raise ValueError(f"its stream has an event of more than {_LARGEST} bytes")
            found = tuple(event for block in blocks if (event := parse(block)) is not None)
            after = found[-1][0] if found else after
            yield Batch(found, after)
        _ended(loop.time() - began, "ended")


async def _headed(stream: Stream, log: str) -> None:
    try:
        async with asyncio.timeout(_HEAD):
            answer = accepted(await stream.head())
    except TimeoutError as error:
        raise HeldBackError(f"its stream does not begin within {_HEAD:g} s") from error
    media_type = answer.headers.get("content-type", "nothing")
    if media_type.partition(";")[0].strip().lower() != "text/event-stream":
        raise HeldBackError(f"it answers {media_type} where a stream is asked for")
    same_log(answer, log)


async def _piece(stream: Stream, patience: float, lived: float) -> bytes:
    try:
        async with asyncio.timeout(patience):
            return await stream.read()
    except TimeoutError as error:
        raise HeldBackError(f"its stream is silent for {patience:g} s") from error
    except OSError as error:
        _ended(lived, f"broke: {error}")
        raise


def _ended(lived: float, how: str) -> None:
    if lived < _SHORTEST:
        raise HeldBackError(f"its stream {how} after {lived:.1f} s")
    raise ConnectionError(f"its stream {how}")


def parse(block: bytes) -> tuple[int, Event] | None:
    """An event of the stream with its place; None for a comment (HTML standard, "Server-sent events", 9.2.6)."""
    fields = {
        name: value.removeprefix(b" ") for name, _, value in (line.partition(b":") for line in block.split(b"\n"))
    }
    if b"data" not in fields or b"id" not in fields:
        return None
    return int(fields[b"id"]), json_format.parse(fields[b"data"])
