"""What comes from the remote: by its stream, else by long polls, each event stored together with its place there."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator

from proxy_addons.events import remote_poll, remote_stream
from proxy_addons.events.event import Event
from proxy_addons.events.log import Log
from proxy_addons.events.remote import DENIED, AnotherLogError, BadStatusError, Identity, RemoteBroker, denied
from proxy_addons.events.remote_places import RemotePlaces, moved
from proxy_addons.events.remote_stream import Batch, HeldBackError
from proxy_addons.events.writer import StorageError

_log = logging.getLogger(__name__)

#: Where its problems are shown; no service can be called so.
RECEIVE = "remote:receive"
#: Seconds between two attempts: the first pause, and the longest: nothing tells that a network or a VPN is there again,
#: and half a minute is what a person does not wait for. One look costs a connection, twice a minute.
_FIRST_PAUSE, _LAST_PAUSE = 0.5, 30.0
#: Seconds after which the stream is tried again where it was held back: the way to the remote is another one when the
#: network is (VPN, office, home). While it is tried, events may be late by up to 8 s, so not more often.
_STREAM_AGAIN = 600.0
#: Events, and bytes of them, that are stored together: an engine's entry has its limit (NATS: 1 MiB).
_TOGETHER, _TOGETHER_BYTES = 100, 256 * 1024
_STREAM, _POLL = "stream", "long poll"


class Receiving:
    """Works while `run` runs. `way` says how events come, `because` why it is not by the stream."""

    def __init__(
        self, broker: RemoteBroker, log: Log, places: RemotePlaces, reached: Callable[[], None] = lambda: None
    ) -> None:
        """`reached` is called when the remote answers again."""
        self._broker = broker
        self._log = log
        self._places = places
        self._reached = reached
        self._host = broker.remote.host
        self._wanted: frozenset[str] = frozenset()
        self._changed = asyncio.Event()
        self._pause = _FIRST_PAUSE
        self._stream_at = 0.0
        self._cursor = 0
        self.way = self.because = self.problem = ""

    def want(self, types: frozenset[str]) -> None:
        """The patterns that somebody here subscribes to."""
        if types != self._wanted:
            self._wanted = types
            self._changed.set()

    async def run(self) -> None:
        """For ever, or until the remote refuses us."""
        while True:
            self._changed.clear()
            if not self._wanted:
                await self._changed.wait()
                continue
            try:
                await self._until_changed()
                continue
            except AnotherLogError:
                self.way = ""  # who it is now is asked in a moment
            except BadStatusError as error:
                if error.status in DENIED:
                    self.way, self.problem = "", denied(error.status, self._broker.remote)
                    _log.error("No events from the remote: %s", self.problem)
                    return
                self._failed(f"{self._host} {error}")
            except StorageError as error:
                self._failed(f"what {self._host} sends cannot be kept: {error}")
            except (OSError, TimeoutError) as error:
                self._failed(f"{self._host} is not reached: {str(error) or 'no answer in time'}")
            except (ValueError, OverflowError, RecursionError) as error:  # numbers too large, brackets too deep
                self._failed(f"{self._host} sends what cannot be read: {error}")
            except Exception as error:  # noqa: BLE001 - else events would stop, and nobody would be told
                _log.error("A fault of the event broker itself, in receiving", exc_info=error)
                self._failed(f"a fault of the event broker itself, whose log says which: {error}")
            await self._rest()

    def _failed(self, problem: str) -> None:
        if not self.problem:
            _log.warning("No events from the remote, which is tried again by itself: %s", problem)
        self.way, self.problem = "", problem

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._pause * random.uniform(0.8, 1.2)):  # noqa: S311 - spreads load only
                await self._changed.wait()
        self._pause = min(self._pause * 2, _LAST_PAUSE)

    async def _until_changed(self) -> None:
        """Receives until other types are wanted. Raises whatever ends it before."""
        receiving = asyncio.create_task(self._receive())
        changed = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait({receiving, changed}, return_when=asyncio.FIRST_COMPLETED)
            if receiving.done():
                receiving.result()
        finally:
            for task in (receiving, changed):
                task.cancel()
            await asyncio.gather(receiving, changed, return_exceptions=True)

    async def _receive(self) -> None:
        """One way after the other, from the place that is kept. Returns when the next way is due."""
        known = await self._broker.identity()
        begin = await self._places.begin(known.log, self._broker.remote.url, known.last)
        if begin.said:
            _log.warning(
                "%s: %s. Events come from its first one on; those known here come once", self._host, begin.said
            )
        self._cursor = begin.cursor
        left = self._stream_at - asyncio.get_running_loop().time()
        if left > 0:
            batches = remote_poll.follow(self._broker, known.log, begin.cursor, self._wanted, left)
            await self._take_all(batches, known, _POLL)
            return
        try:
            batches = remote_stream.follow(self._broker, known.log, begin.cursor, self._wanted)
            await self._take_all(batches, known, _STREAM)
        except HeldBackError as error:
            self._stream_at = asyncio.get_running_loop().time() + _STREAM_AGAIN
            if not self.because:
                said = "Events of %s come by long poll: %s. The stream is tried again every %d minutes"
                _log.warning(said, self._host, error, _STREAM_AGAIN // 60)
            self.because = str(error)

    async def _take_all(self, batches: AsyncGenerator[Batch, None], known: Identity, way: str) -> None:
        async with contextlib.aclosing(batches) as following:
            async for batch in following:
                self._arrived(way)
                await self._take(batch, known)

    def _arrived(self, way: str) -> None:
        self._pause = _FIRST_PAUSE
        if self.way == way:
            return
        if self.problem:
            _log.warning("Events of %s come again, by %s", self._host, way)
        self.way, self.problem = way, ""
        if way == _STREAM:
            self.because = ""
        self._reached()

    async def _take(self, batch: Batch, known: Identity) -> None:
        """Events with their place: stored in one transaction, so that a crash neither loses nor repeats them."""
        for group in _groups(batch.events):
            self._cursor = group[-1][0]
            await self._log.append([event for _, event in group], known.broker, also=moved(known.log, self._cursor))
        if batch.cursor > self._cursor:  # what nobody wants here was passed over
            self._cursor = batch.cursor
            await self._log.append([], also=moved(known.log, self._cursor))


def _groups(events: Iterable[tuple[int, Event]]) -> Iterator[list[tuple[int, Event]]]:
    group: list[tuple[int, Event]] = []
    size = 0
    for one in events:
        if group and (len(group) >= _TOGETHER or size + one[1].size > _TOGETHER_BYTES):
            yield group
            group, size = [], 0
        group.append(one)
        size += one[1].size
    if group:
        yield group
