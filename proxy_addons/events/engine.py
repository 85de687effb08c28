"""What a server is to the broker that keeps its log there: entries, appended in turn and read in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from proxy_addons.events.writer import StorageError

#: What to do about a server that does not know us.
LET_IN = "User and password stand in the URL. It need not be in a file: STORES_EVENTS_ENGINE says the same"
#: The stream's name where the URL has no path.
STREAM = "stores-events"


class OvertakenError(Exception):
    """Somebody else has appended since: what is new has to be read first."""


class TooLargeError(StorageError):
    """The engine takes no entry of this size."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `position` is the engine's own number for it; they grow, and need not be without gaps.

    `data` is empty where somebody else than a broker has written it.
    """

    position: int
    data: bytes


class Engine(Protocol):
    """One stream of entries on a server. Each holds the events of one place after another, beginning with its `first`.

    Every method but `close` raises `StorageError` while the server is not reached.
    """

    #: ``nats`` or ``redis``, and the server with the stream, without any secret.
    name: str
    where: str
    #: What is wrong with it now, for people; empty when nothing is.
    problem: str
    #: What it cannot promise as it is set up, with what to do about it; empty when nothing.
    caution: str
    #: Called in the loop when there may be entries of somebody else, or the server is reached again.
    on_news: Callable[[], None]
    #: Called in the loop when the stream is gone, or another one than was opened: it has to be opened anew.
    on_loss: Callable[[], None]

    async def open(self) -> str:
        """Connects; makes the stream if there is none. Returns what tells it from one that is made anew later.

        Raises `StoresError` where the stream is there, and is none that can be used.
        """

    async def append(self, first: int, data: bytes) -> None:
        """Returns once the entry is as durable as the engine makes it.

        Raises `OvertakenError` where `first` is not the place after the last one, `TooLargeError`. After another
        `StorageError` nobody knows whether it is there: what is new has to be read.
        """

    async def read(self, after: int, limit: int) -> list[Entry]:
        """The entries in order, from the newest one that begins at the place after `after` or before it.

        So the first of them may have nothing new; where that one is dropped already, it is the oldest one after it.
        """

    def took(self, entry: Entry) -> None:
        """All up to this entry is known to who appends; what is appended goes behind it, or not at all."""

    async def trim(self, entry: Entry) -> None:
        """Drops this entry and all older ones."""

    async def facts(self) -> dict[str, int]:
        """For ``/healthz``: at least `bytes`."""

    async def close(self) -> None:
        """Ends the connection."""


def stream_of(url: str) -> str:
    """The name of the stream."""
    return urlsplit(url).path.strip("/") or STREAM


def away(where: str, error: BaseException) -> StorageError:
    """What to say while the server is not reached."""
    said = str(error).strip() or type(error).__name__
    return StorageError(f"{where} is not reached: {said}")
