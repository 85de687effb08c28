"""Which (source, id) an engine's log has: kept beside the cursors, and told from the log what a crash left out."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from proxy_addons.events.database import Database
from proxy_addons.events.gathering import Gathering
from proxy_addons.events.log import Stored
from proxy_addons.events.writer import Writer

#: Seconds for which identities are gathered before they are written.
_GATHERED = 0.2
#: As many values as SQLite takes in one statement, in every version (SQLITE_MAX_VARIABLE_NUMBER was 999).
_VALUES = 900


class Known:
    """A place for each identity. What is not written yet when we are killed is read from the log again."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._writer = writer
        self._reader = database.connect(read_only=True)
        self._thread = ThreadPoolExecutor(1, "known events")
        self._fresh: dict[bytes, int] = {}
        self._gathering = Gathering(_GATHERED, self.flush)
        #: The newest place that is known.
        self.last: int = database.writer.execute("SELECT coalesce(max(seq), 0) FROM known").fetchone()[0]
        row: tuple[str, str] = database.writer.execute("SELECT id, log FROM broker").fetchone()
        self.broker_id, self.log_id = row

    async def begin(self, log_id: str) -> None:
        """It is about another log from now on: nothing of that is known yet, and every cursor goes to its begin."""

        def forget(one: sqlite3.Connection) -> None:
            one.execute("UPDATE broker SET log = ?", (log_id,))
            one.execute("DELETE FROM known")
            one.execute("UPDATE subscriptions SET cursor = 0")
            one.execute("DELETE FROM parked")

        await self._writer.submit(forget)
        self.last, self.log_id = 0, log_id

    async def find(self, identities: Sequence[bytes]) -> dict[bytes, int]:
        """The places of those that are there."""
        found = {one: self._fresh[one] for one in identities if one in self._fresh}
        rest = [one for one in identities if one not in found]
        if rest:
            loop = asyncio.get_running_loop()
            found.update(await loop.run_in_executor(self._thread, self._look_up, rest))
        return found

    def _look_up(self, identities: Sequence[bytes]) -> dict[bytes, int]:
        found: dict[bytes, int] = {}
        for begin in range(0, len(identities), _VALUES):
            some = identities[begin : begin + _VALUES]
            marks = ",".join("?" * len(some))
            query = f"SELECT identity, seq FROM known WHERE identity IN ({marks})"  # noqa: S608 - no values
            found.update(self._reader.execute(query, tuple(some)))
        return found

    def add(self, stored: Iterable[Stored]) -> None:
        """These are in the log. Written soon."""
        for one in stored:
            self._fresh[one.event.identity] = one.seq
            self.last = one.seq
        self._gathering.begin()

    def flush(self) -> None:
        """Writes what was gathered."""
        self._gathering.end()
        rows = list(self._fresh.items())
        if not rows:
            return

        def written(future: asyncio.Future[sqlite3.Cursor]) -> None:
            if future.cancelled() or future.exception():
                return  # a full disk: they stay in memory, and are written with the next ones
            for identity, seq in rows:
                if self._fresh.get(identity) == seq:
                    del self._fresh[identity]

        job = self._writer.submit(lambda one: one.executemany("INSERT OR REPLACE INTO known VALUES (?, ?)", rows))
        job.add_done_callback(written)

    async def trim(self, up_to: int) -> None:
        """What the log has dropped may come again."""
        self._fresh = {identity: seq for identity, seq in self._fresh.items() if seq > up_to}
        await self._writer.submit(lambda one: one.execute("DELETE FROM known WHERE seq <= ?", (up_to,)))

    def close(self) -> None:
        """Writes the rest, and ends the reading connection."""
        self.flush()
        self._thread.shutdown()
        self._reader.close()
