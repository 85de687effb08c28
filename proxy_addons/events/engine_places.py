"""Where in a stream a place is: what was learned of it, for an engine that numbers its entries by itself."""

from __future__ import annotations

import bisect

#: Pairs that are remembered.
_REMEMBERED = 4096


class Places:
    """Pairs of an entry's first place and its position; both grow together."""

    def __init__(self) -> None:
        self._pairs: list[tuple[int, int]] = []

    def between(self, place: int, low: int, high: int) -> tuple[int, int]:
        """Narrows `low` and `high`, between which the entry with this place is: the last one not after it."""
        at = bisect.bisect_right(self._pairs, (place, high))
        if at > 0:
            low = max(low, self._pairs[at - 1][1])
        if at < len(self._pairs):
            high = max(low, min(high, self._pairs[at][1] - 1))
        return low, high

    def learn(self, first: int, position: int) -> None:
        """The entry there begins with the place `first`."""
        if len(self._pairs) >= _REMEMBERED:
            self._pairs = self._pairs[_REMEMBERED // 2 :]
        at = bisect.bisect_left(self._pairs, (first, position))
        if at == len(self._pairs) or self._pairs[at] != (first, position):
            self._pairs.insert(at, (first, position))

    def forget(self, up_to: int) -> None:
        """What stood at this position and before it is dropped."""
        self._pairs = [pair for pair in self._pairs if pair[1] > up_to]
