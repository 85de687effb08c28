"""One subscription's way through the log: reads ahead a little, delivers, tries again, gives up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from proxy_addons.events.key_queues import KeyQueues
from proxy_addons.events.log import Stored
from proxy_addons.events.outcome import Outcome, Verdict, backoff
from proxy_addons.events.progress import Item, Progress, Standing
from proxy_addons.events.sender import Sender
from proxy_addons.events.tail import Tail
from proxy_addons.events.writer import StorageError

_log = logging.getLogger(__name__)

#: Events that are read at once, that are held in memory beside those in delivery, and that may wait for another try.
_READ, _AHEAD, _MOST_PARKED = 100, 64, 1000
#: Seconds after a refused connection until the next look: the first pause, and the longest.
_FIRST_LOOK, _LAST_LOOK = 0.2, 5.0


@dataclass(frozen=True, slots=True)
class Rules:
    """How a lane delivers. `accepts` is the whole wish: types, filters, origin. `key` tells what stays in order."""

    accepts: Callable[[Stored], bool]
    key: Callable[[Stored], str]
    concurrency: int
    retries: int
    backoff: float
    wakes: bool = False


@dataclass(slots=True)
class Counts:
    """Since the broker started, for ``/metrics``."""

    delivered: int = 0
    failed: int = 0
    dead: int = 0
    expired: int = 0


class Lane:
    """Delivers for as long as `run` runs. `standing` is what is kept of it."""

    def __init__(
        self, standing: Standing, rules: Rules, sender: Sender, tail: Tail, progress: Progress, wake: Callable[[], None]
    ) -> None:
        """`wake` asks for the subscriber to be started, because something waits for it."""
        self.standing = standing
        self.rules = rules
        self.sender = sender
        self.counts = Counts()
        self._tail = tail
        self._progress = progress
        self._wake = wake
        self._bell = asyncio.Event()
        self._quiet = asyncio.Event()
        self._queues = KeyQueues(self.ring)
        self._position = standing.cursor
        #: Not yet done, and not parked: the oldest of them holds the cursor.
        self._outstanding: dict[int, Item] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed_until, self._pause = 0.0, _FIRST_LOOK
        self.parked = 0
        for item in progress.take_parked(standing.name):
            self.add_parked(item)

    @property
    def waiting(self) -> int:
        """Events that are not delivered yet. Those that were not looked at may not be for this subscription at all."""
        return max(0, self._tail.last - self._position) + len(self._queues)

    @property
    def in_flight(self) -> int:
        """Deliveries under way."""
        return len(self._tasks)

    @property
    def uses(self) -> tuple[int, bool]:
        """How many deliveries there were, and whether one is under way, or to come as long as the subscriber runs."""
        done = self.counts.delivered + self.counts.failed
        return done, bool(self.in_flight) or self.state in {"delivering", "retrying"}

    @property
    def state(self) -> str:
        """In a word."""
        if self.standing.ended or self.standing.paused:
            return "ended" if self.standing.ended else "paused"
        if not self.waiting:
            return "idle"
        if not self.sender.ready or self.sender.problem:
            return "waiting"
        return "retrying" if self.parked else "delivering"

    def ring(self) -> None:
        """Something has changed: there may be work."""
        self._bell.set()

    def reopen(self) -> None:
        """The subscriber has changed its state: whatever held it is looked at anew."""
        self._closed_until, self._pause = 0.0, _FIRST_LOOK
        self.ring()

    def add_parked(self, item: Item) -> None:
        """An item that has its own row already: of an earlier life, or out of the dead letters."""
        self.parked += 1
        self._queues.add(self.rules.key(item.stored), item)
        self.ring()

    def seek(self, cursor: int) -> None:
        """Goes on after another place. What waits for another try still does."""
        self._queues.drop(lambda item: not item.parked)
        self._outstanding.clear()
        self._position = cursor
        self._move()
        self.ring()

    async def drained(self) -> None:
        """Returns once nothing waits any more."""
        while self.waiting:
            self._quiet.clear()
            await self._quiet.wait()

    async def run(self) -> None:
        """Until cancelled. What is under way then is delivered again by the next life."""
        self._tail.listeners.add(self.ring)
        try:
            while True:
                self._bell.clear()
                try:
                    await self._fill()
                except StorageError as error:
                    _log.warning("Events for %s cannot be read: %s", self.standing.name, error)
                    self._look_again(_LAST_LOOK)
                self._start()
                if not self.waiting:
                    self._quiet.set()
                await self._bell.wait()
        finally:
            self._tail.listeners.discard(self.ring)
            self._queues.close()
            if self._timer:
                self._timer.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _fill(self) -> None:
        """Reads ahead, as far as memory allows. What is behind a parked event of its key is parked too."""
        while len(self._outstanding) < _AHEAD + self.rules.concurrency and self.parked < _MOST_PARKED:
            position = self._position
            batch = await self._tail.read(position, _READ)
            if position != self._position:
                continue  # sought meanwhile
            if not batch:
                return
            behind = [item for stored in batch if (item := self._take(stored)) is not None]
            if behind:
                await self._park(behind)
            self._move()

    def _take(self, stored: Stored) -> Item | None:
        """Queues what is wanted. Returns it where its key is held up."""
        self._position = stored.seq
        if not self.rules.accepts(stored):
            return None
        item, key = Item(stored), self.rules.key(stored)
        self._outstanding[stored.seq] = item
        held_up = self._queues.held_up(key)
        self._queues.add(key, item)
        return item if held_up else None

    def _start(self) -> None:
        """Begins as many deliveries as may run side by side."""
        if self.standing.paused or self.standing.ended or not self._queues.may_go:
            return
        if not self.sender.ready:
            if self.rules.wakes:
                self._wake()
            return
        if (closed := self._closed_until - time.monotonic()) > 0:
            self._look_again(closed)
            return
        while len(self._tasks) < self.rules.concurrency and (found := self._queues.next()):
            task = asyncio.create_task(self._deliver(*found))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _look_again(self, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.ring)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("A fault of the event broker itself, in a delivery to %s", self.standing.name, exc_info=error)
        self.ring()

    async def _deliver(self, key: str, item: Item) -> None:
        expires = item.stored.event.expires
        if expires is not None and expires <= time.time():
            self.counts.expired += 1
            self._done(key, item)
            return
        outcome = await self.sender.send(item.stored, item.attempt + 1)
        if outcome.verdict is Verdict.DONE:
            self.counts.delivered += 1
            self._pause = _FIRST_LOOK
            self._done(key, item)
        elif outcome.verdict is Verdict.RETRY and item.attempt < self.rules.retries:
            await self._retry(key, item, outcome)
        elif outcome.verdict in {Verdict.RETRY, Verdict.DEAD}:
            await self._give_up(key, item, outcome)
        else:
            await self._hold(key, item, outcome)

    def _done(self, key: str, item: Item) -> None:
        if item.parked:
            self._progress.unpark(self.standing.name, item)
        self._remove(key, item)

    def _remove(self, key: str, item: Item) -> None:
        self.parked -= item.parked
        self._outstanding.pop(item.seq, None)
        self._queues.done(key)
        self._move()

    async def _retry(self, key: str, item: Item, outcome: Outcome) -> None:
        self.counts.failed += 1
        if outcome.retry_after:  # it is too much for the subscriber, not only this one event
            self._closed_until = time.monotonic() + outcome.retry_after
        item.attempt += 1
        item.reason = _told(outcome)
        item.due = time.time() + max(backoff(item.attempt, self.rules.backoff), outcome.retry_after)
        await self._park([one for one in self._queues.line(key) if one is item or not one.parked])
        self._queues.again(key)

    async def _give_up(self, key: str, item: Item, outcome: Outcome) -> None:
        item.attempt += 1
        _log.warning("%s: gave up event %d: %s", self.standing.name, item.seq, _told(outcome))
        try:
            await self._progress.bury(self.standing.name, item, outcome.status, outcome.reason)
        except StorageError as error:
            _log.warning("Cannot keep the dead letter, so it is tried again: %s", error)
            item.due = time.time() + _LAST_LOOK
            self._queues.again(key)
            return
        self.counts.dead += 1
        self._remove(key, item)

    async def _hold(self, key: str, item: Item, outcome: Outcome) -> None:
        """No attempt was spent. 410 ends the subscription; else the next look is due soon."""
        self._queues.again(key, first=True)
        if outcome.verdict is Verdict.GONE:
            self.standing.ended = f"it answered 410 to event {item.seq}"
            _log.warning("%s: no more events: %s", self.standing.name, self.standing.ended)
            await self._progress.save(self.standing)
        else:
            self._closed_until = time.monotonic() + self._pause
            self._pause = min(self._pause * 2, _LAST_LOOK)

    async def _park(self, items: list[Item]) -> None:
        """Gives items rows of their own, so that they no longer hold the cursor."""
        fresh = [item for item in items if not item.parked]
        for item in fresh:
            item.parked = True  # before the row is there: should the item be done meanwhile, the row goes after it came
        self.parked += len(fresh)
        try:
            await self._progress.park(self.standing.name, items)
        except StorageError as error:
            _log.warning("Cannot keep what %s has to be told again: %s", self.standing.name, error)
            for item in fresh:
                if item.seq in self._outstanding:  # it holds the cursor: nothing is lost, only others wait
                    item.parked = False
                    self.parked -= 1
            return
        for item in fresh:
            self._outstanding.pop(item.seq, None)
        self._move()

    def _move(self) -> None:
        """The cursor follows the oldest that is neither done nor parked."""
        cursor = next(iter(self._outstanding), self._position + 1) - 1
        if cursor != self.standing.cursor:
            self._progress.move(self.standing, cursor)


def _told(outcome: Outcome) -> str:
    return f"{outcome.status or ''} {outcome.reason}".strip()
