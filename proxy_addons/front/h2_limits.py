"""How much one HTTP/2 connection may take of us, and how often it may waste our time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes are in bytes. What says the client is in our SETTINGS; the rest is between us and the abuser."""

    #: Streams at once. nginx says 128, Caddy 250; each may cost a connection to the service.
    streams: int = 128
    #: A request's header list (names, values and 32 for each field): more is answered 431.
    header_list: int = 64 * 1024
    #: A header block as it came: beyond it we don't even read on to keep the table (CVE-2024-27316, CVE-2024-24549).
    header_block: int = 256 * 1024
    #: Frames of one header block. 256 KB take 16; empty ones are no use to anybody.
    header_frames: int = 64
    #: What a stream's client may send ahead of the service: it waits in our memory.
    stream_window: int = 256 * 1024
    #: The same for the connection. It is given back when data came, not when the service took it, so that one slow
    #: upload holds no other; ...
    connection_window: int = 4 * 1024 * 1024
    #: ... but not while this much waits in all.
    waiting: int = 8 * 1024 * 1024
    #: Answers' data of one stream that wait for the client; at `answer_high` the service is made to wait too.
    answer_high: int = 128 * 1024
    answer_low: int = 32 * 1024
    #: Heads and acknowledgements that a client asked for and does not fetch (CVE-2019-9512, -9515).
    unfetched: int = 1024 * 1024
    #: Streams that were opened in vain: reset by the client (rapid reset, CVE-2023-44487), or by us because of what it
    #: sent (CVE-2025-8671). So many at once, then so many a second: nghttp2's own figures.
    resets: int = 1000
    resets_per_second: float = 33.0
    #: Frames that do nothing: PING, SETTINGS, PRIORITY, empty DATA, unknown ones (CVE-2019-9512 to -9518).
    idle_frames: int = 10_000
    idle_frames_per_second: float = 1000.0


class Allowance:
    """So many at once; a used one comes back after a while (a token bucket)."""

    __slots__ = ("_clock", "_last", "_left", "_most", "_per_second")

    def __init__(self, most: float, per_second: float, clock: Callable[[], float]) -> None:
        self._most = most
        self._per_second = per_second
        self._clock = clock
        self._left = most
        self._last = clock()

    def take(self) -> bool:
        """One of them; False: there is none left."""
        if self._left < 1:
            now = self._clock()
            self._left = min(self._most, self._left + (now - self._last) * self._per_second)
            self._last = now
            if self._left < 1:
                return False
        self._left -= 1
        return True
