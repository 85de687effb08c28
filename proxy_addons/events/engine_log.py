"""The log on a server: group commit, known events and places are ours, the entries are the engine's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence

from proxy_addons.events import cancellation
from proxy_addons.events.engine import Engine, Entry, OvertakenError
from proxy_addons.events.engine_group import Request, Requests, placed
from proxy_addons.events.engine_reach import Reach
from proxy_addons.events.engine_record import Decoded, Record, encode
from proxy_addons.events.engine_trim import due
from proxy_addons.events.event import Event
from proxy_addons.events.known import Known
from proxy_addons.events.log import Appended, Stored
from proxy_addons.events.trouble import Trouble
from proxy_addons.events.writer import StorageError, Writer

_log = logging.getLogger(__name__)

#: Entries that are read at once.
_ENTRIES = 64
#: How often another broker may be quicker before publishers are told to try again.
_TRIES = 20
#: Seconds that a close waits for what was accepted before it.
_GRACE = 5.0
#: Seconds until the next look where one has failed, up to the longest: a server that was only slow tells nobody.
_FIRST_PAUSE, _LAST_PAUSE = 0.2, 30.0


class EngineLog:
    """See `log.Log`. Several brokers may share one stream: each entry is appended behind all others, or not at all."""

    def __init__(self, engine: Engine, known: Known, writer: Writer) -> None:
        self.on_stored: Callable[[Sequence[Stored]], None] = lambda _: None
        self._engine = engine
        self._known = known
        self._writer = writer
        self._id = known.broker_id
        self._last = known.last
        self._requests = Requests()
        self._lock = asyncio.Lock()
        self._news = asyncio.Event()
        self._decoded = Decoded(self._id, _ENTRIES)
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._reach = Reach()
        self._broken = ""  # an entry that cannot be read
        self._trouble = Trouble(_log, "The newest events cannot be read")

    @classmethod
    async def open(
        cls, engine: Engine, known: Known, writer: Writer, lost: Callable[[], None] = lambda: None
    ) -> EngineLog:
        """With everything known that is in it; `lost`: the stream is another. Raises `StorageError`, `StoresError`."""
        log_id = await engine.open()
        if known.log_id != log_id:
            if known.log_id:
                _log.warning("%s has begun anew: every subscription begins with its first event", engine.where)
            await known.begin(log_id)
        log = cls(engine, known, writer)
        await log._catch_up()
        engine.on_news, engine.on_loss = log._news.set, lost
        log._tasks = (asyncio.create_task(log._append_all()), asyncio.create_task(log._follow()))
        return log

    @property
    def last(self) -> int:
        """The newest event's place."""
        return self._last

    @property
    def hint(self) -> str:
        """It is the server's."""
        return "Start it, or see [events] engine in stores.toml; it is tried again by itself"

    @property
    def problem(self) -> str:
        """What is wrong with the engine."""
        return self._engine.problem or self._broken or self._reach.problem

    @property
    def caution(self) -> str:
        """What the engine cannot promise."""
        return self._engine.caution

    async def append(
        self,
        events: Sequence[Event],
        origin: str = "",
        at: float | None = None,
        also: Callable[[sqlite3.Connection], object] | None = None,
    ) -> Appended:
        """Returns once the engine has them. `also` is done then: if we die between, they come again and are known."""
        appended = Appended(0, 0, self._last)
        if events:
            appended = await self._requests.append(events, origin, time.time() if at is None else at)
        if also:
            await self._writer.submit(also)
        return appended

    async def _append_all(self) -> None:
        while True:
            async with self._requests.group() as group:
                await self._append_group(group)

    async def _append_group(self, group: list[Request]) -> None:
        try:
            async with self._lock:
                answers = await self._store(group)
        except BaseException:
            self._news.set()  # it may be there all the same: look
            raise
        for request, answer in zip(group, answers, strict=True):
            if not request.future.done():
                request.future.set_result(answer)

    async def _store(self, group: list[Request]) -> list[Appended]:
        before = self._last
        for _ in range(_TRIES):
            identities = {event.identity for request in group for event in request.events}
            stored, answers = placed(group, await self._known.find(list(identities)), self._last)
            if not stored:
                return answers
            try:
                with self._reach.asking(), cancellation.kept():
                    await self._engine.append(stored[0].seq, encode(Record(self._id, tuple(stored))))
            except OvertakenError:
                await self._catch_up()
            else:
                self._took(stored)
                return answers
        why = (
            "other brokers were always quicker" if self._last > before else "somebody else than a broker writes into it"
        )
        raise StorageError(f"{self._engine.where}: {why}")

    def _took(self, stored: Sequence[Stored]) -> None:
        self._last = stored[-1].seq
        self._known.add(stored)
        self.on_stored(stored)

    async def _catch_up(self) -> None:
        """Takes note of what the log has and we do not know: ours of an earlier life, or another broker's."""
        before = -1
        while before < self._last:
            before = self._last
            for entry in await self._entries(before):
                if fresh := [one for one in self._events(entry) if one.seq > self._last]:
                    self._took(fresh)
                self._engine.took(entry)

    async def _follow(self) -> None:
        """Looks whenever the engine says that there may be something; where that fails, again after a while."""
        pause: float | None = None
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._news.wait()
            self._news.clear()
            try:
                async with self._lock:
                    await self._catch_up()
            except StorageError as error:
                self._trouble.begins(error)
                pause = min((pause or _FIRST_PAUSE / 2) * 2, _LAST_PAUSE)
            else:
                self._trouble.ends()
                pause = None
                self.on_stored([])  # whoever could not read before may now

    async def _entries(self, after: int) -> list[Entry]:
        with self._reach.asking(), cancellation.kept():
            return await self._engine.read(after, _ENTRIES)

    def _events(self, entry: Entry) -> tuple[Stored, ...]:
        """Those in an entry: none where somebody else has written it."""
        if not entry.data:
            return ()
        try:
            return self._decoded.record(entry.position, entry.data).stored
        except ValueError as error:
            self._broken = f"{self._engine.where}, entry {entry.position}: {error}"
            raise StorageError(self._broken) from error

    async def read(self, after: int, limit: int) -> list[Stored]:
        """From the engine."""
        found: list[Stored] = []
        if after >= self._last:
            return found
        for entry in await self._entries(after):
            found += [one for one in self._events(entry) if after < one.seq <= self._last]
            if len(found) >= limit:
                break
        return found[:limit]

    async def seq_at(self, when: float) -> int:
        """By bisection: places and times grow together."""
        oldest = await self.read(0, 1)
        low, high = (oldest[0].seq - 1, self._last) if oldest else (0, 0)
        while low < high:
            middle = (low + high + 1) // 2
            found = await self.read(middle - 1, 1)
            low, high = (middle, high) if found and found[0].at < when else (low, middle - 1)
        return low

    async def trim(self, up_to: int, older_than: float, largest: int) -> int:
        """Whole entries, the oldest first. The newest entry always stays."""
        gone = 0
        while True:
            with cancellation.kept():
                excess = (await self._engine.facts())["bytes"] - largest
            entries = [(entry, self._events(entry)) for entry in await self._entries(0)]
            drop = due(entries, min(up_to, self._last - 1), older_than, excess)
            if drop is None:
                return gone
            with cancellation.kept():
                await self._engine.trim(drop.entry)
            await self._known.trim(drop.last)
            gone += drop.events

    async def health(self) -> dict[str, object]:
        """What the engine says; while it says nothing, what is known of it."""
        told: dict[str, object] = {"engine": self._engine.name, "where": self._engine.where, "events": 0, "bytes": 0}
        with contextlib.suppress(StorageError):
            oldest = await self.read(0, 1)
            told["events"] = self._last - oldest[0].seq + 1 if oldest else 0
            with cancellation.kept():
                told.update(await self._engine.facts())
        return told

    async def close(self) -> None:
        """What was accepted before is appended, if that is still possible."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await self._requests.join()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._requests.end()
        self._known.close()
        await self._engine.close()
