"""What an engine is to the broker: a log of events, appended to, read in order, and trimmed."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from proxy_addons.events.event import Event


@dataclass(frozen=True, slots=True)
class Stored:
    """An event with its place. `origin`: the id of the broker that it was received from; empty for one of our own."""

    seq: int
    event: Event
    at: float = field(default_factory=time.time)
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of one request's events: `duplicates` of those accepted were known; `seq` is the last one's place."""

    accepted: int
    duplicates: int
    seq: int


class Log(Protocol):
    """The engine. Every method but `last` may raise `writer.StorageError` when nothing can be written or read."""

    #: Called in the loop with what has just become durable, in order.
    on_stored: Callable[[Sequence[Stored]], None]

    @property
    def last(self) -> int:
        """The newest event's place; 0 when there never was one."""

    @property
    def problem(self) -> str:
        """What is wrong with it now, for people; empty when nothing is."""

    @property
    def hint(self) -> str:
        """What to do about a `problem`."""

    @property
    def caution(self) -> str:
        """What it cannot promise as it is set up, with what to do about it; empty when nothing."""

    async def append(
        self,
        events: Sequence[Event],
        origin: str = "",
        at: float | None = None,
        also: Callable[[sqlite3.Connection], object] | None = None,
    ) -> Appended:
        """Makes them durable, all or none. One whose (source, id) is known is not stored again.

        `also` is done in the broker's own file: in the same transaction, or after the events are durable. Never before.
        """

    async def read(self, after: int, limit: int) -> list[Stored]:
        """The next events after a place, in order: `limit` at most, fewer large ones, none only at the end."""

    async def trim(self, up_to: int, older_than: float, largest: int) -> int:
        """Drops what is no longer wanted: at most up to a place, if older than a time or while larger than `largest`.

        Returns how many events went. The newest one always stays, so that places are never given twice.
        """

    async def seq_at(self, when: float) -> int:
        """The place of the last event before a time; 0 when there is none."""

    async def health(self) -> dict[str, object]:
        """Facts for ``/healthz``: at least `engine`, `where`, `events`, `bytes`."""

    async def close(self) -> None:
        """Ends it."""
