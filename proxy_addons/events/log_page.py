"""A page of the log as JSON: what ``GET /v1/events`` answers, and what another broker reads of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from proxy_addons.events import json_format
from proxy_addons.events.event import Event
from proxy_addons.events.log import Stored


@dataclass(frozen=True, slots=True)
class Page:
    """`events` with their places; `after`: the place to go on from, `last`: the newest one of the log."""

    events: tuple[tuple[int, Event], ...]
    after: int
    last: int


def write(stored: Sequence[Stored], after: int, last: int) -> bytes:
    """As JSON, each event on a line of its own."""
    body = ",\n".join(map(_shown, stored))
    return f'{{"events": [{body}], "after": {after}, "last": {last}}}\n'.encode()


def parse(body: bytes) -> Page:
    """What `write` wrote, by us or by another broker. Data is taken as it stands there. Raises ``ValueError``."""
    text = json_format.text_of(body)
    found: dict[str, str] = {
        name: source for name, _, source, _ in json_format.members(text, json_format.skip(text, 0))
    }
    try:
        events = tuple(map(_read, json_format.elements(found["events"], 0)))
        return Page(events, int(found["after"]), int(found["last"]))
    except KeyError as error:
        raise ValueError(f"a page of events without {error}") from error


def _shown(stored: Stored) -> str:
    facts = json.dumps({"seq": stored.seq, "at": round(stored.at, 3), "origin": stored.origin})
    return f'{facts[:-1]}, "event": {json_format.write(stored.event).decode()}}}'


def _read(text: str) -> tuple[int, Event]:
    found = {name: source for name, _, source, _ in json_format.members(text, 0)}
    return int(found["seq"]), json_format.parse(found["event"].encode())
