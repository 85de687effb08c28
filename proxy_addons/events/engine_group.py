"""Requests that come at once share one entry of an engine: who waits, what goes together, and what each is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from proxy_addons.events.engine_record import size_of
from proxy_addons.events.event import Event
from proxy_addons.events.log import Appended, Stored
from proxy_addons.events.writer import StorageError

#: What goes into one entry: requests that wait share one as long as it stays below these. Events, bytes.
_GROUP_EVENTS, _GROUP_BYTES = 200, 256 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One publisher's events, and who waits for what becomes of them."""

    events: Sequence[Event]
    origin: str
    at: float
    future: asyncio.Future[Appended]


class Requests:
    """The line in which they wait."""

    def __init__(self) -> None:
        self._line: asyncio.Queue[Request] = asyncio.Queue()
        #: Taken already, and too much for the group before it.
        self._next: Request | None = None

    async def append(self, events: Sequence[Event], origin: str, at: float) -> Appended:
        """Waits in line. Raises what `group` was left with."""
        future: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self._line.put_nowait(Request(events, origin, at, future))
        return await future

    @asynccontextmanager
    async def group(self) -> AsyncIterator[list[Request]]:
        """The next ones that go together, once there is one. Whoever has no answer when it is left fails with it."""
        group = [self._next or await self._line.get()]
        self._next = self._gather(group)
        told: Exception = StorageError("the event broker ends")
        try:
            yield group
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            told = error
        finally:
            for request in group:
                if not request.future.done():
                    request.future.set_exception(told)
                self._line.task_done()

    def _gather(self, group: list[Request]) -> Request | None:
        """Adds what may go with the group's first one. Returns the one that was taken and does not fit any more."""
        events, size = len(group[0].events), size_of(group[0].events)
        while not self._line.empty():
            request = self._line.get_nowait()
            events += len(request.events)
            size += size_of(request.events)
            if events > _GROUP_EVENTS or size > _GROUP_BYTES:
                return request
            group.append(request)
        return None

    def end(self) -> None:
        """Nobody appends any more: whoever still waits is told."""
        left = [self._next] if self._next else []
        while not self._line.empty():
            left.append(self._line.get_nowait())
        for request in left:
            if not request.future.done():
                request.future.set_exception(StorageError("the event broker ends"))

    async def join(self) -> None:
        """Returns once nobody waits any more."""
        await self._line.join()


def placed(group: list[Request], known: dict[bytes, int], last: int) -> tuple[list[Stored], list[Appended]]:
    """What is new, with the places that it gets after `last`, and what each request is answered.

    `known`: the places of those events that are stored already; it is added to.
    """
    stored: list[Stored] = []
    answers = []
    for request in group:
        fresh = seq = 0
        for event in request.events:
            seq = known.get(event.identity, 0)
            if not seq:
                fresh += 1
                seq = known[event.identity] = last + len(stored) + 1
                stored.append(Stored(seq, event, request.at, request.origin))
        answers.append(Appended(len(request.events), len(request.events) - fresh, seq))
    return stored, answers
