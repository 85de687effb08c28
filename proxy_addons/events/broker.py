"""The broker as a whole: opened in order, closed in the reverse one."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from proxy_addons.events import metrics
from proxy_addons.events.api import Api
from proxy_addons.events.database import Database
from proxy_addons.events.guard import Guard
from proxy_addons.events.health import Health
from proxy_addons.events.http_message import Request, Response
from proxy_addons.events.link import Link
from proxy_addons.events.log import Log
from proxy_addons.events.log_choice import open_log
from proxy_addons.events.progress import Progress
from proxy_addons.events.publishing import Publishing
from proxy_addons.events.reading import Reading
from proxy_addons.events.remote import Remote
from proxy_addons.events.remote_places import RemotePlaces
from proxy_addons.events.sender import Subscriber
from proxy_addons.events.steering import Steering, answer
from proxy_addons.events.subscriptions import Subscriptions
from proxy_addons.events.tail import Tail
from proxy_addons.events.trouble import Trouble
from proxy_addons.events.writer import StorageError, Writer

_log = logging.getLogger(__name__)

#: At most one look at what has become old in so many seconds, and only after something was published.
_TRIM_EVERY = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept. Seconds, bytes, events; what is undelivered is kept whatever these say."""

    max_age: float = 7 * 86400.0
    max_bytes: int = 1024 * 1024 * 1024
    most_waiting: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is around it. `domains`: where it is reached; `start` asks for a service; `environ` has the secrets.

    `lost` is called when the broker has to be opened anew: the server that keeps its log has another one.
    """

    domains: tuple[str, ...] = ("localhost",)
    start: Callable[[str], None] = lambda _: None
    lost: Callable[[], None] = lambda: None
    environ: Mapping[str, str] | None = None
    remote: Remote | None = None


class Broker:
    """Made by `open`. `answer` is its HTTP interface."""

    def __init__(self, log: Log, writer: Writer, progress: Progress, limits: Limits, around: Surroundings) -> None:
        self._limits = limits
        self._stack = AsyncExitStack()
        self._trimmed = time.monotonic()
        self._trimming: asyncio.Task[None] | None = None
        self._trouble = Trouble(_log, "What is old cannot be dropped from the event log")
        self.log = log
        self.writer = writer
        self.progress = progress
        self.tail = Tail(log)
        environ = os.environ if around.environ is None else around.environ
        origin = f"events.{around.domains[0]}"
        self.subscriptions = Subscriptions(self.tail, progress, environ, origin, around.start)
        self.link = Link(log, RemotePlaces(writer), self.subscriptions, progress.broker_id)
        self.publishing = Publishing(log, limits.most_waiting)
        self.publishing.delivered = self.subscriptions.delivered
        self.health = Health(progress, log, self.subscriptions, self.publishing, self.link)
        self.answer = self._api(around.domains)
        self.tail.listeners.add(self._trim_now_and_then)

    def _api(self, domains: Iterable[str]) -> Api:
        api = Api(Guard(domains))
        api.add("POST", "/v1/events", self.publishing.post)
        api.add("GET", "/v1/events", Reading(self.tail, self.progress.log_id).get)
        api.add("GET", "/healthz", self._healthz)
        api.add("GET", "/metrics", self._metrics)
        Steering(self.log, self.progress, self.subscriptions).add_to(api)
        return api

    @classmethod
    async def open(cls, file: Path, limits: Limits, around: Surroundings, engine: str = "") -> Broker:
        """Opens the file. `engine`: the URL of a server that keeps the log; empty: the file does.

        Raises `StoresError` with what is wrong with either, `StorageError` while the server is not reached.
        """
        async with AsyncExitStack() as stack:
            # in a thread: the look through a large file takes its time
            database = await asyncio.to_thread(Database, file)
            stack.callback(database.close)
            writer = Writer(database.writer)
            stack.push_async_callback(writer.close)
            log = await open_log(engine, database, writer, around.lost)
            stack.push_async_callback(log.close)
            broker = cls(log, writer, Progress(database, writer), limits, around)
            stack.push_async_callback(broker.subscriptions.close)
            await broker.link.connect(around.remote)
            broker._stack = stack.pop_all()
        return broker

    def limit(self, limits: Limits) -> None:
        """These hold from now on."""
        self._limits = limits
        self.publishing.most_waiting = limits.most_waiting
        self._trim()

    async def follow(self, subscribers: Iterable[Subscriber]) -> None:
        """The services that subscribe now; the remote is asked for what they want."""
        known = list(subscribers)
        await self.subscriptions.follow(known)
        self.link.want(frozenset(pattern for one in known for pattern in one.subscription.types))

    async def close(self) -> None:
        """Everything that was accepted is on the disk, and the file is free."""
        self.tail.listeners.discard(self._trim_now_and_then)
        self.tail.close()
        await self.link.close()
        if self._trimming:
            await asyncio.wait({self._trimming})
        await self._stack.aclose()

    async def trim(self) -> int:
        """Drops what is old or too much, and delivered to everybody. Returns how many events went."""
        older = time.time() - self._limits.max_age
        had = min(self.subscriptions.delivered(), self.subscriptions.awaited(self._limits.most_waiting))
        return await self.log.trim(had, older, self._limits.max_bytes)

    def _trim_now_and_then(self) -> None:
        if time.monotonic() - self._trimmed > _TRIM_EVERY:
            self._trim()

    def _trim(self) -> None:
        if self._trimming is None or self._trimming.done():
            self._trimmed = time.monotonic()
            self._trimming = asyncio.create_task(self._try_to_trim())

    async def _try_to_trim(self) -> None:
        try:
            await self.trim()
        except StorageError as error:
            self._trouble.begins(error)
        else:
            self._trouble.ends()

    async def _healthz(self, request: Request) -> Response:
        return answer(await self.health.look(facts=request.query.get("facts") != "no"))

    async def _metrics(self, _: Request) -> Response:
        text = metrics.write(self.publishing.counts, self.subscriptions.lanes.values(), self.log.last)
        return Response(200, text.encode(), {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
