"""``GET /v1/events``: the log for whoever wants to look, page by page, waiting for more, or as a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from proxy_addons.events import json_format, log_page
from proxy_addons.events.http_message import Request, Response
from proxy_addons.events.log import Stored
from proxy_addons.events.matching import typed
from proxy_addons.events.publishing import BROKER_HEADER
from proxy_addons.events.question import number
from proxy_addons.events.refusal import RefusalError
from proxy_addons.events.tail import Tail

#: Says which log answers, so that another broker sees when it is another one, or has begun anew.
LOG_HEADER = "Stores-Log"
#: Events a page, and seconds that a question may wait.
_PAGE, _LARGEST_PAGE, _LONGEST_WAIT = 100, 1000, 60.0
#: Bytes of events after which a page ends: it is made and read as a whole.
_PAGE_BYTES = 4 * 1024 * 1024
#: Seconds between two signs of life on a quiet stream.
_HEARTBEAT = 15.0
#: Events that are looked at for one page; where few of them match, the page tells how far it came.
_LOOKED_AT = 10_000
#: What can be asked for beside the type, each as it is.
_ATTRIBUTES = ("id", "source", "subject")


class Reading:
    """Reads from the tail, so that many who follow cost one read."""

    def __init__(self, tail: Tail, log_id: str) -> None:
        """`log_id` tells this log from every other one."""
        self._tail = tail
        self._log = {LOG_HEADER: log_id}

    async def get(self, request: Request) -> Response:
        """A page of JSON; with ``Accept: text/event-stream`` a stream without end."""
        accepts = self._test(request)
        if "text/event-stream" in request.header(b"accept"):
            last = request.header(b"last-event-id") or request.query.get("after", str(self._tail.last))
            return Response(200, stream=self._stream(self._place(last), accepts), headers=_STREAM | self._log)
        after = self._place(request.query.get("after", "0"))
        limit = max(1, int(number(request, "limit", _PAGE, _LARGEST_PAGE)))
        wait = number(request, "wait", 0.0, _LONGEST_WAIT)
        events, after = await self._page(after, limit, accepts)
        ends = asyncio.get_running_loop().time() + wait
        while not events and not self._tail.closed and (left := ends - asyncio.get_running_loop().time()) > 0:
            if await self._tail.wait(after, left):  # for what nobody asked for here, it waits on
                events, after = await self._page(after, limit, accepts)
        body = log_page.write(events, after, self._tail.last)
        return Response(200, body, {"Content-Type": "application/json"} | self._log)

    async def _page(self, after: int, limit: int, accepts: Callable[[Stored], bool]) -> tuple[list[Stored], int]:
        found: list[Stored] = []
        looked_at = size = 0
        while looked_at < _LOOKED_AT and (batch := await self._tail.read(after, _PAGE)):
            looked_at += len(batch)
            for stored in batch:
                after = stored.seq
                if accepts(stored):
                    found.append(stored)
                    size += stored.event.size
                    if len(found) == limit or size >= _PAGE_BYTES:
                        return found, after
        return found, after

    async def _stream(self, after: int, accepts: Callable[[Stored], bool]) -> AsyncIterator[bytes]:
        yield b"retry: 1000\n\n"
        while not self._tail.closed:
            batch = await self._tail.read(after, _PAGE)
            for stored in batch:
                after = stored.seq
                if accepts(stored):
                    yield b"id: %d\ndata: %b\n\n" % (stored.seq, _line(json_format.write(stored.event)))
            if not batch and not await self._tail.wait(after, _HEARTBEAT):
                yield b": nothing new\n\n"

    def _test(self, request: Request) -> Callable[[Stored], bool]:
        """By ``type`` (patterns with commas) and attributes; a broker that asks is not told what it sent itself."""
        patterns = [part for part in request.query.get("type", "").split(",") if part]
        of_type = typed(patterns) if patterns else lambda _: True
        asker = request.header(BROKER_HEADER)
        exact = {name: text for name in _ATTRIBUTES if (text := request.query.get(name))}
        return lambda stored: (
            of_type(stored.event.type)
            and not (asker and stored.origin == asker)
            and all(stored.event.attributes.get(name) == text for name, text in exact.items())
        )

    def _place(self, text: str) -> int:
        """A place; a negative number counts from the end."""
        try:
            place = int(text)
        except ValueError:
            raise RefusalError(400, f'after: "{text}" is not a number') from None
        return max(0, self._tail.last + place) if place < 0 else min(place, self._tail.last)


_STREAM = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}


def _line(text: bytes) -> bytes:
    """JSON on one line: a stream's data ends with the line, and what was sent may have line ends between members."""
    return text.replace(b"\r", b" ").replace(b"\n", b" ")
