"""Events in line, a line a key: only the first of each line may go, and only when its time has come."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator

from proxy_addons.events.progress import Item

#: Seconds to wait at most: what is due later was put off before somebody set the clock back.
_LONGEST = 86400.0


class KeyQueues:
    """Lines of items. `bell` rings when a line that had to wait may go on."""

    def __init__(self, bell: Callable[[], None]) -> None:
        self._bell = bell
        self._lines: dict[str, deque[Item]] = {}
        self._runnable: deque[str] = deque()
        self._busy: set[str] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._count = 0
        #: Bytes of all events in the lines.
        self.size = 0

    def __len__(self) -> int:
        return self._count

    def add(self, key: str, item: Item) -> None:
        """To the end of its line."""
        line = self._lines.setdefault(key, deque())
        line.append(item)
        self._count += 1
        self.size += item.stored.event.size
        if len(line) == 1:
            self._schedule(key, item)

    def held_up(self, key: str) -> bool:
        """Whether the first of the line waits for another try, so that the others would wait long."""
        line = self._lines.get(key)
        return line is not None and line[0].parked

    def next(self) -> tuple[str, Item] | None:
        """The first item of a line that may go; the line is busy until `done` or `again`."""
        while self._runnable:
            key = self._runnable.popleft()
            line = self._lines.get(key)
            if line and key not in self._busy and not line[0].due:
                self._busy.add(key)
                return key, line[0]
        return None

    @property
    def may_go(self) -> bool:
        """Whether there is one, or seems to be."""
        return bool(self._runnable)

    def done(self, key: str) -> None:
        """The first of the line goes; the next one may."""
        self._busy.discard(key)
        line = self._lines[key]
        self.size -= line.popleft().stored.event.size
        self._count -= 1
        if line:
            self._schedule(key, line[0])
        else:
            del self._lines[key]

    def again(self, key: str, *, first: bool = False) -> None:
        """The first of the line is to be tried again, when it is due; `first`: before all other lines."""
        self._busy.discard(key)
        if first:
            self._runnable.appendleft(key)
        else:
            self._schedule(key, self._lines[key][0])

    def line(self, key: str) -> list[Item]:
        """All of a line."""
        return list(self._lines.get(key, ()))

    def drop(self, unwanted: Callable[[Item], bool]) -> None:
        """Forgets items, but those that are under way."""
        for key, line in list(self._lines.items()):
            keep = deque(
                item for index, item in enumerate(line) if (index == 0 and key in self._busy) or not unwanted(item)
            )
            self._count += len(keep) - len(line)
            self.size += sum(one.stored.event.size for one in keep) - sum(one.stored.event.size for one in line)
            if keep:
                self._lines[key] = keep
                if key not in self._busy:
                    self._schedule(key, keep[0])
            else:
                del self._lines[key]

    def rearrange(self, key_of: Callable[[Item], str | None]) -> list[Item]:
        """Puts all into the lines that they belong to now, in their order; those without any go, and are returned.

        Nothing may be under way.
        """
        items = sorted(self.items(), key=lambda item: item.seq)
        self.close()
        self._lines, self._runnable, self._count, self.size = {}, deque(), 0, 0
        gone = []
        for item in items:
            key = key_of(item)
            if key is None:
                gone.append(item)
            else:
                self.add(key, item)
        return gone

    def behind_parked(self) -> list[Item]:
        """Those that are not parked, in lines whose first is."""
        held_up = (line for line in self._lines.values() if line[0].parked)
        return [item for line in held_up for item in line if not item.parked]

    def items(self) -> Iterator[Item]:
        """All of them."""
        for line in self._lines.values():
            yield from line

    def close(self) -> None:
        """No timer rings any more."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _schedule(self, key: str, item: Item) -> None:
        when = item.due
        wait = min(when - time.time(), _LONGEST)
        if wait <= 0:
            self._is_due(key, item)
            return

        def due() -> None:
            self._timers.discard(timer)
            if item.due == when:  # else it was put off again meanwhile, and another timer rings
                self._is_due(key, item)
                self._bell()

        timer = asyncio.get_running_loop().call_later(wait, due)
        self._timers.add(timer)

    def _is_due(self, key: str, item: Item) -> None:
        """Noted in the item, and not looked at again: clocks are set back, and uvloop's timers are a little early."""
        item.due = 0.0
        self._runnable.append(key)
