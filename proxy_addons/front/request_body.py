"""Where a request's body ends, by its length or its chunks."""

from __future__ import annotations

from proxy_addons.front.chunks import Chunks
from proxy_addons.front.exchange import CHUNKED


class RequestBody:
    """One body. Its bytes pass; only their end is looked for."""

    __slots__ = ("_chunks", "_left", "ended")

    def __init__(self, length: int) -> None:
        """`length`: as in `Request.length`."""
        self._chunks = Chunks() if length == CHUNKED else None
        self._left = length
        self.ended = length == 0

    def read(self, data: bytes) -> int:
        """The number of bytes of `data` that belong to it. Raises ``ValueError`` where the chunks are none."""
        if self._chunks is not None:
            end = self._chunks.read(data)
            self.ended = self._chunks.ended
            return end
        end = min(len(data), self._left)
        self._left -= end
        self.ended = not self._left
        return end
