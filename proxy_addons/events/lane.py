"""One subscription's way through the log: delivers, tries again, gives up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from proxy_addons.events.hold import Hold
from proxy_addons.events.outcome import Outcome, Verdict, backoff, longest_backoff
from proxy_addons.events.progress import Item, Progress, Standing
from proxy_addons.events.rules import Rules
from proxy_addons.events.sender import Sender
from proxy_addons.events.tail import Tail
from proxy_addons.events.window import Window
from proxy_addons.events.writer import StorageError

_log = logging.getLogger(__name__)

#: Seconds after which one key that fills what is read ahead makes room for others, while its first event is under way.
_STUCK = 1.0
#: How far beyond the cursor deliveries may be done: so many come again after a crash at most.
_MOST_DONE_AGAIN = 1000


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
        self._window = Window(standing, tail, progress, self.ring)
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = False
        #: While the subscriber is not there, or wants time; while the log cannot be read.
        self._closed, self._unread = Hold(self.ring), Hold(self.ring)
        #: Until what is stuck makes room, and the place at which that was.
        self._stuck, self._stuck_at = Hold(self.ring), -1

    @property
    def waiting(self) -> int:
        """Events that are not delivered yet. Those that were not looked at may not be for this subscription at all."""
        return self._window.waiting

    @property
    def parked(self) -> int:
        """Events that wait for another try, or behind one that does."""
        return self._window.parked

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

    def change(self, rules: Rules) -> None:
        """Another wish. It is for what waits already as well, once nothing is under way any more."""
        self.rules, self._changed = rules, True
        self.ring()

    def reopen(self) -> None:
        """The subscriber has changed its state: whatever held it is looked at anew."""
        self._closed.lift()
        self.ring()

    def add_parked(self, item: Item) -> None:
        """An item that has its own row already: of an earlier life, or out of the dead letters."""
        item.due = min(item.due, time.time() + longest_backoff(self.rules.backoff))  # by a clock that was wrong
        self._window.add_parked(self.rules.key(item.stored), item)
        self.ring()

    def seek(self, cursor: int) -> None:
        """Goes on after another place. What waits for another try still does."""
        self._window.seek(cursor)
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
                await self._read()
                if self._changed and not self._tasks:
                    self._changed = False
                    await self._window.rearrange(self.rules)
                self._start()
                await self._make_room()
                if not self.waiting:
                    self._quiet.set()
                await self._bell.wait()
        finally:
            self._tail.listeners.discard(self.ring)
            self._window.queues.close()
            self._closed.close()
            self._unread.close()
            self._stuck.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self._window.lag:
                await self._window.park_all()  # what is done beyond the cursor need not come again

    async def _read(self) -> None:
        try:
            await self._window.fill(self.rules)
        except StorageError:  # said by `tail`, once for all lanes
            self._unread.take()
            self._unread.arm()
        else:
            self._unread.lift()

    async def _make_room(self) -> None:
        """Nothing that takes its time holds up other keys for long, nor the cursor."""
        idle = 0 < len(self._tasks) < self.rules.concurrency and not self._window.queues.may_go
        stuck = idle and self._window.crowded(self.rules)
        if not stuck or self._window.position != self._stuck_at:
            self._stuck.lift()
            self._stuck_at = self._window.position if stuck else -1
            self._stuck.ask_for(_STUCK if stuck else 0.0)
        if self._window.lag > _MOST_DONE_AGAIN or (stuck and not self._stuck.on):
            cursor, self._stuck_at = self.standing.cursor, -1
            await self._window.park_all()
            if self.standing.cursor != cursor:  # else nothing can be kept now, and to ask at once is in vain
                self.ring()
        elif stuck:
            self._stuck.arm()

    def _start(self) -> None:
        """Begins as many deliveries as may run side by side."""
        if self._changed or self.standing.paused or self.standing.ended or not self._window.queues.may_go:
            return
        if not self.sender.ready:
            if self.rules.wakes:
                self._wake()
            return
        if self._closed.on:
            self._closed.arm()
            return
        most = 1 if self.sender.problem else self.rules.concurrency  # whether it is over, one can find out
        while len(self._tasks) < most and (found := self._window.queues.next()):
            task = asyncio.create_task(self._deliver(*found))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("A fault of the event broker itself, in a delivery to %s", self.standing.name, exc_info=error)
        self.ring()

    async def _deliver(self, key: str, item: Item) -> None:
        if item.stored.event.expired:
            self.counts.expired += 1
            self._window.done(key, item)
            return
        try:
            outcome = await self.sender.send(item.stored, item.attempt + 1)
        except Exception as error:  # noqa: BLE001 - no reason to hold up the others of its key for ever
            _log.exception("A fault of the event broker itself, in a delivery to %s", self.standing.name)
            outcome = Outcome(Verdict.RETRY, reason=f"a fault of the event broker itself: {error!r}")
        if outcome.verdict is Verdict.DONE:
            self.counts.delivered += 1
            self._closed.ease()
            self._window.done(key, item)
        elif outcome.verdict is Verdict.RETRY and item.attempt < self.rules.retries:
            await self._retry(key, item, outcome)
        elif outcome.verdict in {Verdict.RETRY, Verdict.DEAD}:
            await self._give_up(key, item, outcome)
        else:
            await self._hold(key, item, outcome)

    async def _retry(self, key: str, item: Item, outcome: Outcome) -> None:
        self.counts.failed += 1
        self._closed.ask_for(outcome.retry_after)  # it is too much for the subscriber, not only this one event
        item.attempt += 1
        item.reason = outcome.told
        item.due = time.time() + max(backoff(item.attempt, self.rules.backoff), outcome.retry_after)
        await self._window.put_off(key, item)

    async def _give_up(self, key: str, item: Item, outcome: Outcome) -> None:
        item.attempt += 1
        try:
            await self._window.bury(key, item, outcome.status, outcome.reason)
        except StorageError:  # said by `progress`: it is delivered again, until it can be kept
            item.due = time.time() + backoff(item.attempt, self.rules.backoff)
            self._window.queues.again(key)
            return
        _log.warning("%s: gave up event %d: %s", self.standing.name, item.seq, outcome.told)
        self.counts.dead += 1

    async def _hold(self, key: str, item: Item, outcome: Outcome) -> None:
        """No attempt was spent. 410 ends the subscription; else the next look is due later."""
        self._window.queues.again(key, first=True)
        if outcome.verdict is Verdict.GONE:
            self.standing.ended = f"it answered 410 to event {item.seq}"
            _log.warning("%s: no more events: %s", self.standing.name, self.standing.ended)
            await self._progress.keep(self.standing)
        else:
            self._closed.take(outcome.retry_after)
