"""All lanes: one a subscribing service, following what the supervisor tells."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping

from procman.subscription import Subscription
from proxy_addons.events.http_client import HttpClient
from proxy_addons.events.lane import Lane
from proxy_addons.events.progress import Progress, Standing
from proxy_addons.events.rules import Rules
from proxy_addons.events.sender import Sender, ServiceSender, Subscriber
from proxy_addons.events.tail import Tail

_log = logging.getLogger(__name__)

#: Seconds for which the place of a service that is no longer registered is kept: its file may be on another branch.
_KEPT_ABSENT = 30 * 86400.0
#: Seconds between two requests to start the same service, where the first one did not make it ready.
_WAKE_PAUSE = 30.0


class Subscriptions:
    """Starts, changes and ends lanes. `start` asks the supervisor for a service."""

    def __init__(
        self, tail: Tail, progress: Progress, environ: Mapping[str, str], origin: str, start: Callable[[str], None]
    ) -> None:
        self._tail = tail
        self._progress = progress
        self._environ = environ
        self._origin = origin
        self._start = start
        self._woken: dict[str, float] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._services: dict[str, Subscriber] = {}
        self.client = HttpClient()
        self.lanes: dict[str, Lane] = {}

    def delivered(self) -> int:
        """The place up to which nobody needs anything any more."""
        cursors = [lane.standing.cursor for lane in self.lanes.values() if not lane.standing.ended]
        return min(cursors, default=self._tail.last)

    def awaited(self, most: int) -> int:
        """The place after which everything is kept for who is not here now: its file may be on another branch.

        At most so many events: they wait for somebody who may never come.
        """
        standings = [one for one in self._progress.standings.values() if one.name not in self.lanes and not one.ended]
        least = self._tail.last - most
        return min((max(one.cursor, least) for one in standings), default=self._tail.last)

    async def follow(self, subscribers: Iterable[Subscriber]) -> None:
        """The services that subscribe now, whether they run or not."""
        named = {subscriber.name: subscriber for subscriber in subscribers}
        for name in [name for name in self._services if name not in named]:
            await self.leave(name)
        for name, subscriber in named.items():
            if self._services.get(name) != subscriber:
                if subscriber.addresses:
                    self._woken.pop(name, None)  # it came; should it sleep soon, the next event asks again
                await self._follow(subscriber)
        await self._forget_the_long_absent()
        self._services = named

    async def _follow(self, subscriber: Subscriber) -> None:
        lane = self.lanes.get(subscriber.name)
        if lane is None:
            sender = ServiceSender(self.client, subscriber, self._environ, self._origin)
            await self.add(subscriber.name, Rules.of(subscriber.subscription), sender, subscriber.subscription)
            return
        assert isinstance(lane.sender, ServiceSender)
        lane.sender.follow(subscriber)
        definition = _definition(subscriber.subscription)
        if lane.standing.definition != definition:
            lane.change(Rules.of(subscriber.subscription))
            lane.standing.definition, lane.standing.ended = definition, ""  # another one than it ended with 410
            await self._progress.keep(lane.standing)
        lane.reopen()

    async def add(self, name: str, rules: Rules, sender: Sender, subscription: Subscription) -> Lane:
        """A lane, which goes on where it was, or begins where its subscription says."""
        definition = _definition(subscription)
        standing = self._progress.standings.get(name)
        changed = standing is not None and standing.definition != definition
        if standing is None:
            cursor = 0 if subscription.begin == "first" else self._tail.last
            standing = Standing(name, cursor, definition=definition)
            await self._progress.keep(standing)
        elif standing.absent is not None or changed:
            if changed:
                standing.ended = ""
            standing.absent, standing.definition = None, definition
            await self._progress.keep(standing)
        lane = Lane(standing, rules, sender, self._tail, self._progress, lambda: self._wake(name))
        self.lanes[name] = lane
        for item in await self._progress.parked(name):
            lane.add_parked(item)
        if changed:
            lane.change(rules)
        self._tasks[name] = asyncio.create_task(lane.run())
        return lane

    async def leave(self, name: str) -> None:
        """Nobody subscribes by this name any more. Its place is kept for a while."""
        await self._end(name)
        standing = self._progress.standings[name]
        standing.absent = time.time()
        self._progress.flush()
        await self._progress.keep(standing)

    async def _end(self, name: str) -> None:
        self.lanes.pop(name)
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _forget_the_long_absent(self) -> None:
        now = time.time()
        for standing in list(self._progress.standings.values()):
            if standing.absent is None and standing.name not in self.lanes:  # its file went while nothing ran here
                standing.absent = now
                await self._progress.keep(standing)
            elif standing.absent is not None and standing.absent < now - _KEPT_ABSENT:
                await self._progress.forget(standing.name)

    def _wake(self, name: str) -> None:
        now = time.monotonic()
        if now - self._woken.get(name, -_WAKE_PAUSE) >= _WAKE_PAUSE:
            self._woken[name] = now
            _log.info("Events wait for %s: asking for its start", name)
            self._start(name)

    async def close(self) -> None:
        """Ends all lanes, and writes how far they are."""
        for name in list(self.lanes):
            await self._end(name)
        self._progress.flush()
        self.client.close()


def _definition(subscription: Subscription) -> str:
    text = json.dumps(subscription.to_json(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
