"""The part of the log at which a lane is: read ahead a little, and not finished yet."""

from __future__ import annotations

from collections.abc import Callable

from proxy_addons.events.key_queues import KeyQueues
from proxy_addons.events.log import Stored
from proxy_addons.events.progress import Item, Progress, Standing
from proxy_addons.events.rules import Rules
from proxy_addons.events.tail import Tail
from proxy_addons.events.writer import StorageError

#: Events that are read at once, that are held in memory beside those in delivery, and that may wait for another try.
_READ, _AHEAD, _MOST_PARKED = 100, 64, 1000
#: Bytes of all these. A mebibyte is the largest event, so far fewer of those are held.
_MOST_BYTES = 32 * 1024 * 1024


class Window:
    """Between `standing.cursor`, before which all is done or parked, and the place up to which was read.

    A parked event has a row of its own, so that the cursor need not wait for it.
    """

    def __init__(self, standing: Standing, tail: Tail, progress: Progress, bell: Callable[[], None]) -> None:
        """`bell` rings when an event that had to wait for its time may go."""
        self.queues = KeyQueues(bell)
        self.parked = 0
        self._standing = standing
        self._tail = tail
        self._progress = progress
        self._position = self._newest_done = standing.cursor
        #: Not yet done, and not parked: the oldest of them holds the cursor.
        self._outstanding: dict[int, Item] = {}
        #: Those that have a row: where the cursor is before one of them, it is not taken from the log as well.
        self._rows: set[int] = set()

    @property
    def waiting(self) -> int:
        """Events that are not delivered yet. Those that were not looked at may not be for this subscription at all."""
        return max(0, self._tail.last - self._position) + len(self.queues)

    def seek(self, cursor: int) -> None:
        """Goes on after another place. What waits for another try still does."""
        self.queues.drop(lambda item: not item.parked)
        self._outstanding.clear()
        self._position = self._newest_done = cursor
        self._move()

    @property
    def position(self) -> int:
        """The place up to which was read."""
        return self._position

    @property
    def lag(self) -> int:
        """How far beyond the cursor something is done: what the next life would deliver once more."""
        return self._newest_done - self._standing.cursor

    def crowded(self, rules: Rules) -> bool:
        """Whether there is more to read, and no room for it."""
        return self._tail.last > self._position and not self._has_room(rules)

    def _has_room(self, rules: Rules) -> bool:
        return len(self._outstanding) < _AHEAD + rules.concurrency and self.queues.size < _MOST_BYTES

    async def fill(self, rules: Rules) -> None:
        """Reads ahead, as far as memory allows. What is behind a parked event of its key is parked too.

        Raises `StorageError` where nothing can be read.
        """
        while self._has_room(rules) and self.parked < _MOST_PARKED:
            position = self._position
            batch = await self._tail.read(position, _READ)
            if position != self._position:
                continue  # sought meanwhile
            if not batch:
                return
            behind = [item for stored in batch if (item := self._take(stored, rules)) is not None]
            if behind:
                await self._park(behind)
            self._move()

    def _take(self, stored: Stored, rules: Rules) -> Item | None:
        """Queues what is wanted. Returns it where its key is held up."""
        self._position = stored.seq
        if stored.seq in self._rows or not rules.accepts(stored):
            return None
        item, key = Item(stored), rules.key(stored)
        self._outstanding[stored.seq] = item
        held_up = self.queues.held_up(key)
        self.queues.add(key, item)
        return item if held_up else None

    async def rearrange(self, rules: Rules) -> None:
        """What waits already obeys these from now on: what is not wanted any more goes. Nothing may be under way."""
        gone = self.queues.rearrange(lambda item: rules.key(item.stored) if rules.accepts(item.stored) else None)
        for item in gone:
            self._forget(item)
        if behind := self.queues.behind_parked():
            await self._park(behind)
        self._move()

    def add_parked(self, key: str, item: Item) -> None:
        """An item that has its own row already: of an earlier life, out of the dead letters, or to be replayed."""
        if item.seq in self._rows:
            return  # it comes anyway
        self._rows.add(item.seq)
        self.parked += 1
        self.queues.add(key, item)

    def done(self, key: str, item: Item) -> None:
        """The first of its key is delivered, or need not be."""
        self._forget(item)
        self.queues.done(key)
        self._move()

    async def bury(self, key: str, item: Item, status: int | None, reason: str) -> None:
        """The first of its key becomes a dead letter. Raises `StorageError` where that cannot be kept."""
        await self._progress.bury(self._standing.name, item, status, reason)
        self._forget(item)
        self.queues.done(key)
        self._move()

    async def put_off(self, key: str, item: Item) -> None:
        """The first of its key is tried again when it is due; it and all behind it no longer hold the cursor."""
        await self._park([one for one in self.queues.line(key) if one is item or not one.parked])
        self.queues.again(key)

    def _forget(self, item: Item) -> None:
        if item.seq <= self._position:
            self._newest_done = max(self._newest_done, item.seq)
        if item.parked:
            self._progress.unpark(self._standing.name, item)
            self.parked -= 1
            self._rows.discard(item.seq)
        self._outstanding.pop(item.seq, None)

    async def park_all(self) -> None:
        """All that is here gets a row, be it under way: the cursor goes on."""
        if self._outstanding:
            await self._park(list(self._outstanding.values()))

    async def _park(self, items: list[Item]) -> None:
        """Gives items rows of their own, so that they no longer hold the cursor."""
        fresh = [item for item in items if not item.parked]
        for item in fresh:
            item.parked = True  # before the row is there: should the item be done meanwhile, the row goes after it came
        self.parked += len(fresh)
        self._rows.update(item.seq for item in fresh)
        try:
            await self._progress.park(self._standing.name, items)
        except StorageError:  # said by `progress`
            for item in fresh:
                if item.seq in self._outstanding:  # it holds the cursor: nothing is lost, only others wait
                    item.parked = False
                    self.parked -= 1
                    self._rows.discard(item.seq)
            return
        for item in items:  # also one whose own wait for its row was cut short
            self._outstanding.pop(item.seq, None)
        self._move()

    def _move(self) -> None:
        """The cursor follows the oldest that is neither done nor parked."""
        cursor = next(iter(self._outstanding), self._position + 1) - 1
        if cursor != self._standing.cursor:
            self._progress.move(self._standing, cursor)
