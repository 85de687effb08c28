"""How far each subscription is, what it waits to try again, and what it gave up: kept beside the log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from proxy_addons.events import json_format
from proxy_addons.events.database import Database
from proxy_addons.events.event import Event
from proxy_addons.events.gathering import Gathering
from proxy_addons.events.log import Stored
from proxy_addons.events.trouble import Trouble
from proxy_addons.events.writer import StorageError, Writer

_log = logging.getLogger(__name__)

#: Seconds for which finished deliveries are gathered before the places are written. What a crash loses of them is
#: delivered again.
_GATHERED = 0.05
#: Seconds until rows that could not be written are tried again: a disk that has room again tells nobody.
_AGAIN = 10.0

#: How often what waits is asked for; it is in its place, and the next life finds it, should none succeed.
_TRIES = 5

_STANDING = "INSERT OR REPLACE INTO subscriptions VALUES (?, ?, ?, ?, ?, ?)"


@dataclass(slots=True)
class Standing:
    """One subscription's row."""

    name: str
    cursor: int
    paused: bool = False
    ended: str = ""
    definition: str = ""
    absent: float | None = None

    @property
    def row(self) -> tuple[object, ...]:
        """As it is kept."""
        return self.name, self.cursor, self.paused, self.ended, self.definition, self.absent


@dataclass(slots=True)
class Item:
    """An event on its way to one subscriber. `parked`: it has a row of its own, and the cursor need not wait for it."""

    stored: Stored
    attempt: int = 0
    due: float = 0.0
    reason: str = ""
    parked: bool = False

    @property
    def seq(self) -> int:
        """The event's place."""
        return self.stored.seq


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was given up."""

    number: int
    subscription: str
    seq: int
    at: float
    attempts: int
    status: int | None
    reason: str
    event: Event


class Progress:
    """Every write is a job of the one writer."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._writer = writer
        self._trouble = Trouble(_log, "What subscribers have to be told again cannot be kept")
        self._moved: set[str] = set()
        self._gathering = Gathering(_GATHERED, self.flush)
        self._again = Gathering(_AGAIN, self.flush)
        rows = database.writer.execute("SELECT name, cursor, paused, ended, definition, absent FROM subscriptions")
        self.standings = {row[0]: Standing(row[0], row[1], bool(row[2]), *row[3:]) for row in rows}
        row: tuple[str, str] = database.writer.execute("SELECT id, log FROM broker").fetchone()
        self.broker_id = row[0]
        #: What tells the log from every other one: a server's, or this file's own.
        self.log_id = row[1] or row[0]

    async def parked(self, name: str) -> list[Item]:
        """What a subscription has parked, in order."""
        query = "SELECT seq, attempt, due, reason, event FROM parked WHERE subscription = ? ORDER BY seq"
        rows: list[Any] = []
        for _ in range(_TRIES):
            try:
                rows = await self._writer.submit(lambda one: one.execute(query, (name,)).fetchall())
                break
            except StorageError as error:  # of a write that shared the transaction: a full disk can be read
                self._trouble.begins(error)
        return [
            Item(Stored(seq, json_format.parse(text, Event)), attempt, due, reason, parked=True)
            for seq, attempt, due, reason, text in rows
        ]

    async def save(self, standing: Standing) -> None:
        """Makes a subscription's row what `standing` says. Raises `StorageError`, and does so later."""
        self.standings[standing.name] = standing
        self._moved.discard(standing.name)
        row = standing.row
        try:
            await self._keep(lambda one: one.execute(_STANDING, row))
        except StorageError:
            self._write_later({standing.name})
            raise

    async def keep(self, standing: Standing) -> None:
        """The same, for whom it is soon enough as soon as it can be."""
        with contextlib.suppress(StorageError):
            await self.save(standing)

    async def forget(self, name: str) -> None:
        """Drops a subscription with all that it has."""
        self.standings.pop(name, None)
        self._moved.discard(name)

        def drop(one: sqlite3.Connection) -> None:
            one.execute("DELETE FROM subscriptions WHERE name = ?", (name,))
            one.execute("DELETE FROM parked WHERE subscription = ?", (name,))

        with contextlib.suppress(StorageError):  # then the next life forgets it
            await self._keep(drop)

    def move(self, standing: Standing, cursor: int) -> None:
        """Everything up to `cursor` is done, or parked. Written soon."""
        standing.cursor = cursor
        self._moved.add(standing.name)
        self._gathering.begin()

    def flush(self) -> None:
        """Writes the places now."""
        self._gathering.end()
        self._again.end()
        if self._moved:
            names, self._moved = self._moved, set()
            rows = [self.standings[name].row for name in names]

            def written(future: asyncio.Future[Any]) -> None:
                if not future.cancelled() and future.exception():
                    self._write_later(names)

            self._writer.submit(lambda one: one.executemany(_STANDING, rows)).add_done_callback(written)

    def _write_later(self, names: set[str]) -> None:
        self._moved |= names & self.standings.keys()
        self._again.begin()

    async def park(self, name: str, items: Sequence[Item]) -> None:
        """Keeps the items by themselves, with their attempts, until they are done. Raises `StorageError`."""
        rows = [(name, i.seq, i.attempt, i.due, i.reason, json_format.write(i.stored.event)) for i in items]
        await self._keep(lambda one: one.executemany("INSERT OR REPLACE INTO parked VALUES (?, ?, ?, ?, ?, ?)", rows))

    def unpark(self, name: str, item: Item) -> None:
        """The item is done."""
        self._submit(lambda one: one.execute("DELETE FROM parked WHERE subscription = ? AND seq = ?", (name, item.seq)))

    async def bury(self, name: str, item: Item, status: int | None, reason: str) -> None:
        """The item is given up. Raises `StorageError`."""
        row = (name, item.seq, time.time(), item.attempt, status, reason, json_format.write(item.stored.event))

        def bury(one: sqlite3.Connection) -> None:
            one.execute("DELETE FROM parked WHERE subscription = ? AND seq = ?", row[:2])
            one.execute(
                "INSERT INTO dead (subscription, seq, at, attempts, status, reason, event) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )

        await self._keep(bury)

    async def _keep(self, work: Callable[[sqlite3.Connection], Any]) -> None:
        """For what is delivered again where it cannot be kept; that is said once."""
        try:
            await self._writer.submit(work)
        except StorageError as error:
            self._trouble.begins(error)
            raise
        self._trouble.ends()

    async def dead(
        self, name: str | None = None, numbers: Iterable[int] = (), *, after: int = 0, limit: int = 100
    ) -> list[DeadLetter]:
        """Dead letters behind a number, the oldest first: of one subscription, or those numbers, or all."""
        chosen = list(numbers)
        where, values = "number > ?", [after]  # type: tuple[str, list[Any]]
        if chosen:
            where, values = f"{where} AND number IN ({','.join('?' * len(chosen))})", [*values, *chosen]
        if name:
            where, values = f"{where} AND subscription = ?", [*values, name]
        query = (
            "SELECT number, subscription, seq, at, attempts, status, reason, event FROM dead "  # noqa: S608 - no values
            f"WHERE {where} ORDER BY number LIMIT ?"
        )
        rows = await self._writer.submit(lambda one: one.execute(query, (*values, limit)).fetchall())
        return [DeadLetter(*row[:7], event=json_format.parse(row[7], Event)) for row in rows]  # type: ignore[misc]  # mypy cannot count a slice

    async def newest_dead(self, name: str) -> int:
        """The number of the newest dead letter of a subscription; 0 where there is none."""
        query = "SELECT coalesce(max(number), 0) FROM dead WHERE subscription = ?"
        newest: int = await self._writer.submit(lambda one: one.execute(query, (name,)).fetchone()[0])
        return newest

    async def exhume(self, letters: Sequence[DeadLetter], *, again: bool) -> list[Item]:
        """Removes dead letters; `again`: they are parked instead, with all their attempts before them."""
        items = [Item(Stored(letter.seq, letter.event), parked=True) for letter in letters]

        def move(one: sqlite3.Connection) -> None:
            one.executemany("DELETE FROM dead WHERE number = ?", [(letter.number,) for letter in letters])
            if again:
                one.executemany(
                    "INSERT OR REPLACE INTO parked VALUES (?, ?, 0, 0, '', ?)",
                    [(letter.subscription, letter.seq, json_format.write(letter.event)) for letter in letters],
                )

        await self._writer.submit(move)
        return items

    async def count_dead(self) -> dict[str, int]:
        """How many dead letters each subscription has."""
        query = "SELECT subscription, count(*) FROM dead GROUP BY subscription"
        return dict(await self._writer.submit(lambda one: one.execute(query).fetchall()))

    def _submit(self, work: Callable[[sqlite3.Connection], Any]) -> None:
        """For what nobody waits for: should it fail, the event is delivered once more."""
        self._writer.submit(work).add_done_callback(lambda future: future.cancelled() or future.exception())
