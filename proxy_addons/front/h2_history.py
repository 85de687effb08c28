"""Which streams there were: what a frame on a stream that is not open means depends on it (RFC 9113, section 5.1)."""

from __future__ import annotations

import enum
from typing import Final

#: Of each kind; beyond that, the oldest resets are forgotten, and gaps are not noted any more.
_MOST: Final = 1024


class Past(enum.Enum):
    """What was with an identifier."""

    #: Never opened, and it may still be.
    IDLE = enum.auto()
    #: Never opened, and never will be: a later one was.
    SKIPPED = enum.auto()
    #: We ended it. What the client sent before it knew is no mistake of its.
    RESET = enum.auto()
    #: It came to its end, or the client ended it.
    CLOSED = enum.auto()


class History:
    """The identifiers of a connection's streams, in a few numbers."""

    __slots__ = ("_gaps", "_resets", "last")

    def __init__(self) -> None:
        #: The latest that was opened.
        self.last = 0
        self._gaps: list[range] = []
        self._resets: dict[int, None] = {}

    def opened(self, stream_id: int) -> None:
        """A client counts up by twos, from 1; it need not, and gaps are closed for ever (section 5.1.1)."""
        following = self.last + 2 if self.last else 1
        if stream_id != following and len(self._gaps) < _MOST:
            self._gaps.append(range(following, stream_id, 2))
        self.last = stream_id

    def reset(self, stream_id: int) -> None:
        """We ended a stream."""
        self._resets[stream_id] = None
        if len(self._resets) > _MOST:
            del self._resets[next(iter(self._resets))]

    def past(self, stream_id: int) -> Past:
        """Of a stream that is not open. An even number is nobody's: we push nothing."""
        if stream_id > self.last or not stream_id & 1:
            return Past.IDLE
        if stream_id in self._resets:
            return Past.RESET
        if any(stream_id in gap for gap in self._gaps):
            return Past.SKIPPED
        return Past.CLOSED
