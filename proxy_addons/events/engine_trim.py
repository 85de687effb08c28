"""Which entries of an engine may go: whole ones, the oldest first, and none that somebody still waits for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proxy_addons.events.engine import Entry
from proxy_addons.events.log import Stored


@dataclass(frozen=True, slots=True)
class Drop:
    """`entry` and all older ones; they have so many `events`, the newest of which has the place `last`."""

    entry: Entry
    events: int
    last: int


def due(entries: Iterable[tuple[Entry, Sequence[Stored]]], up_to: int, older_than: float, excess: int) -> Drop | None:
    """What goes of these, which are the oldest ones in order, each with its events; None where nothing does.

    An entry goes that has nothing beyond the place `up_to`, and is older than `older_than` (epoch seconds) or among
    the first `excess` bytes. What has no events is somebody else's, and in nobody's way.
    """
    drop: Drop | None = None
    for entry, events in entries:
        before, last = (drop.events, drop.last) if drop else (0, 0)
        if events:
            old = excess > 0 or events[-1].at < older_than
            if not old or events[-1].seq > up_to:
                break
            last = events[-1].seq
        drop = Drop(entry, before + len(events), last)
        excess -= len(entry.data)
    return drop
