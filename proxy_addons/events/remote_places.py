"""How far the logs of remotes were read: a place for each log, so that another remote has its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from proxy_addons.events.writer import Writer


@dataclass(frozen=True, slots=True)
class Begin:
    """Where to go on in a remote's log. `said`: what is unusual about that, for people; empty for nothing."""

    cursor: int
    said: str = ""


class RemotePlaces:
    """Rows of the broker's own file."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def begin(self, log: str, url: str, last: int) -> Begin:
        """Where to go on in the log that is at `url` now, and ends at `last`. Raises `StorageError`."""
        return await self._writer.submit(lambda one: _begin(one, log, url, last))

    async def all(self) -> dict[str, tuple[str, int]]:
        """Every log with the URL at which it was seen last, and the place in it."""
        query = "SELECT log, url, cursor FROM remotes"
        rows = await self._writer.submit(lambda one: one.execute(query).fetchall())
        return {log: (url, cursor) for log, url, cursor in rows}


def moved(log: str, cursor: int) -> Callable[[sqlite3.Connection], object]:
    """Everything up to `cursor` is here: for the transaction that stores it."""
    return lambda one: one.execute("UPDATE remotes SET cursor = ? WHERE log = ?", (cursor, log))


def _begin(one: sqlite3.Connection, log: str, url: str, last: int) -> Begin:
    begin = _chosen(one, log, url, last)
    one.execute("DELETE FROM remotes WHERE log = ''")  # it was this one's, or nobody's
    one.execute("INSERT OR REPLACE INTO remotes VALUES (?, ?, ?)", (log, url, begin.cursor))
    return begin


def _chosen(one: sqlite3.Connection, log: str, url: str, last: int) -> Begin:
    """What was kept by a version that knew only one remote is taken for the first one that answers."""
    known = one.execute("SELECT cursor FROM remotes WHERE log IN (?, '') ORDER BY log = ''", (log,)).fetchone()
    if known and known[0] <= last:
        return Begin(known[0])
    if known:
        return Begin(0, f"its log ends at {last}, and {known[0]} of it were read here: it has begun anew")
    if one.execute("SELECT 1 FROM remotes WHERE url = ?", (url,)).fetchone():
        return Begin(0, "it has another log than before")
    return Begin(last)  # what was before us is not ours
