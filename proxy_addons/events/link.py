"""The remote of a broker, both ways: made anew when it becomes another one, while everything else goes on."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from proxy_addons.events import forwarding
from proxy_addons.events.forwarding import FORWARD, RemoteSender
from proxy_addons.events.log import Log
from proxy_addons.events.receiving import RECEIVE, Receiving
from proxy_addons.events.remote import Remote, RemoteBroker
from proxy_addons.events.remote_places import RemotePlaces
from proxy_addons.events.rules import by_key
from proxy_addons.events.subscriptions import Subscriptions


class Link:
    """`connect` it, tell it what is wanted, and `close` it before the subscriptions and the log."""

    def __init__(self, log: Log, places: RemotePlaces, subscriptions: Subscriptions, broker_id: str) -> None:
        self.remote: Remote | None = None
        self.receiving: Receiving | None = None
        self._log = log
        self._places = places
        self._subscriptions = subscriptions
        self._broker_id = broker_id
        self._wanted: frozenset[str] = frozenset()
        self._task: asyncio.Task[None] | None = None

    async def connect(self, remote: Remote | None) -> None:
        """From now on this is the remote; None: there is none. What waits to be forwarded goes to the new one."""
        await self._stop_receiving()
        self.remote = remote
        await self._forward(remote)
        if remote and remote.receive:
            broker = RemoteBroker(self._subscriptions.client, remote, self._broker_id)
            self.receiving = Receiving(broker, self._log, self._places, self._reached)
            self.receiving.want(self._wanted)
            self._task = asyncio.create_task(self.receiving.run())

    async def _forward(self, remote: Remote | None) -> None:
        if FORWARD in self._subscriptions.lanes:
            await self._subscriptions.leave(FORWARD)
        if remote and remote.forward:
            sender = RemoteSender(self._subscriptions.client, remote, self._broker_id)
            rules = forwarding.rules(remote, by_key)
            await self._subscriptions.add(FORWARD, rules, sender, forwarding.subscription(remote))

    def _reached(self) -> None:
        """It answers again: what waits for it need not wait until the next look."""
        lane = self._subscriptions.lanes.get(FORWARD)
        if lane is not None:
            lane.reopen()

    def want(self, types: frozenset[str]) -> None:
        """What is received: the patterns that somebody here subscribes to."""
        self._wanted = types
        if self.receiving:
            self.receiving.want(types)

    @property
    def problems(self) -> dict[str, str]:
        """What is wrong with receiving."""
        return {RECEIVE: self.receiving.problem} if self.receiving and self.receiving.problem else {}

    @property
    def facts(self) -> dict[str, Any]:
        """For ``/healthz``: the remote, by which way events come from it, and why it is not the quick one."""
        if self.remote is None:
            return {}
        way = {"receiving": self.receiving.way, "because": self.receiving.because} if self.receiving else {}
        return {"url": self.remote.url, **way}

    async def close(self) -> None:
        """Nothing is received any more."""
        await self._stop_receiving()

    async def _stop_receiving(self) -> None:
        task, self._task, self.receiving = self._task, None, None
        if task:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task})
