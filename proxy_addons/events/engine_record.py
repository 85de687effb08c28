"""An engine's entry: the events of one group commit, with their places, as bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from proxy_addons.events.event import Event
from proxy_addons.events.log import Stored


@dataclass(frozen=True, slots=True)
class Record:
    """Events with places that follow one another. `by`: the id of the broker that appended them."""

    by: str
    stored: tuple[Stored, ...]

    @property
    def first(self) -> int:
        """The first one's place."""
        return self.stored[0].seq

    @property
    def last(self) -> int:
        """The last one's place."""
        return self.stored[-1].seq


def encode(record: Record) -> bytes:
    """A line of JSON that says what there is, then the data of each event, one behind another."""
    facts = [
        [one.at, one.origin, one.event.attributes, None if one.event.data is None else len(one.event.data)]
        for one in record.stored
    ]
    head = json.dumps({"first": record.first, "by": record.by, "events": facts}, separators=(",", ":"))
    return b"".join([head.encode(), b"\n", *(one.event.data or b"" for one in record.stored)])


def decode(data: bytes, reader: str) -> Record:
    """The record. `reader`: our own id; what another broker has published originates there.

    Raises ``ValueError`` for what is no record.
    """
    head, _, rest = data.partition(b"\n")
    stored: list[Stored] = []
    at = 0
    try:
        facts = json.loads(head)
        by = str(facts["by"])
        for number, (when, origin, attributes, size) in enumerate(facts["events"]):
            body = None if size is None else rest[at : at + size]
            at += size or 0
            seen_from_here = origin or ("" if by == reader else by)
            stored.append(Stored(facts["first"] + number, Event(attributes, body), when, seen_from_here))
    except (KeyError, TypeError) as error:
        raise ValueError(f"no record of an event broker: {error}") from error
    if not stored or at != len(rest):
        raise ValueError("no record of an event broker: it is cut off")
    return Record(by, tuple(stored))


def size_of(events: Sequence[Event]) -> int:
    """About what they take, in bytes."""
    return sum(event.size + 64 for event in events)


class Decoded:
    """The records that were read last, by position: a large one is read in several parts, and decoded once."""

    def __init__(self, reader: str, most: int) -> None:
        self._reader = reader
        self._most = most
        self._records: dict[int, Record] = {}

    def record(self, position: int, data: bytes) -> Record:
        """The one there. Raises ``ValueError`` where it is none."""
        record = self._records.get(position)
        if record is None:
            record = decode(data, self._reader)
            if len(self._records) >= self._most:
                self._records.clear()
            self._records[position] = record
        return record
