"""The log in SQLite: the engine that needs no server."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from proxy_addons.events.database import Database
from proxy_addons.events.event import Event
from proxy_addons.events.log import Appended, Stored
from proxy_addons.events.writer import StorageError, Writer

Result = TypeVar("Result")

#: Events that one transaction drops: publishers wait for as long as that takes.
_TRIMMED_AT_ONCE = 500

#: Bytes of data after which a read ends: who reads goes on with the next.
_READ_BYTES = 4 * 1024 * 1024

_INSERT = "INSERT OR IGNORE INTO events (identity, at, origin, type, attributes, data) VALUES (?, ?, ?, ?, ?, ?)"
_COLUMNS = "SELECT seq, at, origin, attributes, data FROM events"


class SqliteLog:
    """See `log.Log`. SQLite gives each row the number after the highest one, so places have no gaps."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self.on_stored: Callable[[Sequence[Stored]], None] = lambda _: None
        self.problem = self.caution = ""
        self.hint = (
            f"See whether its disk is full, or who holds it: df -h {database.path.parent}; fuser {database.path}"
        )
        self._path = database.path
        self._writer = writer
        self._reader = database.connect(read_only=True)
        self._thread = ThreadPoolExecutor(1, "events reader")
        self._last: int = database.writer.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]

    @property
    def last(self) -> int:
        """The newest event's place."""
        return self._last

    async def append(
        self,
        events: Sequence[Event],
        origin: str = "",
        at: float | None = None,
        also: Callable[[sqlite3.Connection], object] | None = None,
    ) -> Appended:
        """Stores what is not there yet. Returns once it is on the disk. `also` is done in the same transaction."""
        now = time.time() if at is None else at
        rows = [(e.identity, now, origin, e.type, json.dumps(e.attributes), e.data) for e in events]

        def insert(connection: sqlite3.Connection) -> tuple[list[Stored], int]:
            stored, seq = [], 0
            if also:
                also(connection)
            for event, row in zip(events, rows, strict=True):
                cursor = connection.execute(_INSERT, row)
                if cursor.rowcount:
                    seq = cursor.lastrowid or 0
                    stored.append(Stored(seq, event, now, origin))
                else:
                    known = connection.execute("SELECT seq FROM events WHERE identity = ?", row[:1])
                    seq = known.fetchone()[0]
            return stored, seq

        try:
            stored, seq = await self._writer.submit(insert, self._committed)
        except StorageError as error:
            self.problem = f"What was sent last could not be kept: {error}"
            raise
        self.problem = ""
        return Appended(len(events), len(events) - len(stored), seq)

    def _committed(self, result: tuple[list[Stored], int]) -> None:
        stored, _ = result
        if stored:
            self._last = stored[-1].seq
            self.on_stored(stored)

    async def read(self, after: int, limit: int) -> list[Stored]:
        """From the disk, in a thread: a backlog does not hold up the loop. Large ones are fewer at once."""

        def rows(reader: sqlite3.Connection) -> list[Any]:
            found, size = [], 0
            cursor = reader.execute(f"{_COLUMNS} WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))
            for row in cursor:
                found.append(row)
                size += len(row[4] or b"")
                if size > _READ_BYTES:
                    break
            cursor.close()  # a read that is left half-way would hold back the checkpoints
            return found

        read = await self._query(rows)
        return [Stored(seq, Event(json.loads(text), data), at, origin) for seq, at, origin, text, data in read]

    async def seq_at(self, when: float) -> int:
        """By bisection: places and times grow together."""

        def bisect(reader: sqlite3.Connection) -> int:
            ends = "SELECT coalesce(min(seq), 1) - 1, coalesce(max(seq), 0) FROM events"
            reader.execute("BEGIN")  # one view of the log: what is trimmed meanwhile would be missed
            try:
                low, high = reader.execute(ends).fetchone()
                while low < high:
                    middle = (low + high + 1) // 2
                    at = reader.execute("SELECT at FROM events WHERE seq = ?", (middle,)).fetchone()[0]
                    low, high = (middle, high) if at < when else (low, middle - 1)
            finally:
                reader.execute("COMMIT")
            return int(low)

        return await self._query(bisect)

    async def trim(self, up_to: int, older_than: float, largest: int) -> int:
        """In small transactions, the oldest first."""
        total = 0
        while True:
            gone = await self._writer.submit(lambda connection: _trim(connection, up_to, older_than, largest))
            total += gone
            if gone < _TRIMMED_AT_ONCE:
                return total

    async def health(self) -> dict[str, object]:
        """Read from the file."""
        count, used = await self._query(
            lambda reader: (
                reader.execute("SELECT coalesce(max(seq) - min(seq) + 1, 0) FROM events").fetchone()[0],
                _used(reader),
            )
        )
        return {"engine": "sqlite", "where": str(self._path), "events": count, "bytes": used}

    async def close(self) -> None:
        """The reading connection goes; the writer is not ours."""
        self._thread.shutdown()
        self._reader.close()

    async def _query(self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, query, self._reader)
        except sqlite3.DatabaseError as error:
            raise StorageError(f"{self._path} cannot be read: {error}") from error


def _trim(connection: sqlite3.Connection, up_to: int, older_than: float, largest: int) -> int:
    rows = connection.execute(
        "SELECT seq, at FROM events WHERE seq <= ? AND seq < (SELECT max(seq) FROM events) ORDER BY seq LIMIT ?",
        (up_to, _TRIMMED_AT_ONCE),
    ).fetchall()
    if _used(connection) <= largest:
        rows = [row for row in rows if row[1] < older_than]
    if not rows:
        return 0
    return connection.execute("DELETE FROM events WHERE seq <= ?", (rows[-1][0],)).rowcount


def _used(connection: sqlite3.Connection) -> int:
    """Bytes in use: what was freed is used again before the file grows."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)
