"""A bounded copy of a body that streams past: its beginning, or, of a stream of events, its newest part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

#: Bytes that are kept of one body.
MOST: Final = 256 * 1024

#: What mitmproxy calls with each piece, and with ``b""`` at the end.
Stream = Callable[[bytes], Iterable[bytes] | bytes]


class Body:
    """Costs what has come so far, and never more than `most` (twice that for the newest part)."""

    __slots__ = ("_kept", "_most", "kept", "newest", "on_more", "total")

    def __init__(self, most: int = MOST, *, newest: bool = False, on_more: Callable[[int], None] | None = None) -> None:
        """`newest`: the end is kept, not the beginning. `on_more` hears how many bytes more are kept, or fewer."""
        self._kept = bytearray()
        self._most = most
        self.newest = newest
        self.on_more = on_more
        #: Bytes that have passed, and, once it was sealed, how many of them were kept.
        self.total = 0
        self.kept: int | None = None

    def take(self, data: bytes) -> None:
        """A piece has passed."""
        before = len(self._kept)
        self.total += len(data)
        if self.newest:
            self._kept += data[-self._most :]
            if len(self._kept) > 2 * self._most:
                del self._kept[: -self._most]
        elif before < self._most:
            self._kept += data[: self._most - before]
        if self.on_more is not None:
            self.on_more(len(self._kept) - before)

    @property
    def cut(self) -> bool:
        """Whether a part of it is missing."""
        return self.total > (len(self.data) if self.kept is None else self.kept)

    @property
    def data(self) -> bytes:
        """What is kept; the newest part begins with a whole event."""
        if not self.newest or self.total <= self._most:
            return bytes(self._kept)
        kept = bytes(self._kept[-self._most :])
        begin = kept.find(b"\n\n")
        return kept[begin + 2 :] if begin >= 0 else kept

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return len(self._kept)

    def seal(self) -> bytes:
        """What is kept, for somebody else to keep: no more is taken from here on."""
        data = self.data
        self.kept = len(data)
        self.let_go()
        return data

    def let_go(self) -> None:
        """Nothing of it is wanted any more; it still counts."""
        self._kept.clear()
        self._most = 0
        self.on_more = None


def teed(stream: Stream | bool, body: Body) -> Stream:  # noqa: FBT001 - mitmproxy's own kind of value
    """What an addon does to a body as it passes, or nothing (True); `body` has what comes out of that."""

    def pass_on(data: bytes) -> bytes:
        body.take(data)
        return data

    if not callable(stream):
        return pass_on

    def pass_changed(data: bytes) -> Iterator[bytes]:
        out = stream(data)
        for piece in [out] if isinstance(out, bytes) else out:
            body.take(piece)
            if piece or data:
                yield piece

    return pass_changed
