"""Server-sent events as a client reads them (HTML Standard, section 9.2): lines of an answer become messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One event. `id` and `event` are the ones that were last said: what sends here has one line of data each."""

    id: str
    event: str
    data: str


def read(lines: Iterable[bytes]) -> Iterator[Message]:
    """The messages as they come, until the lines end."""
    last = {"id": "", "event": ""}
    for line in lines:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "data":
            yield Message(last["id"], last["event"], value)
        elif name in last:
            last[name] = value
