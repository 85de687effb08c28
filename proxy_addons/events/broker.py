"""The broker as a whole: opened in order, closed in the reverse one."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from proxy_addons.events.api import Api
from proxy_addons.events.database import Database
from proxy_addons.events.guard import Guard
from proxy_addons.events.http_server import Request, Response
from proxy_addons.events.log import Log
from proxy_addons.events.publishing import Publishing
from proxy_addons.events.sqlite_log import SqliteLog
from proxy_addons.events.tail import Tail
from proxy_addons.events.writer import Writer

#: At most one look at what has become old in so many seconds, and only after something was published.
_TRIM_EVERY = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept. Seconds, bytes, events; what is undelivered is kept whatever these say."""

    max_age: float = 7 * 86400.0
    max_bytes: int = 1024 * 1024 * 1024
    most_waiting: int = 1_000_000


class Broker:
    """Made by `open`. `answer` is its HTTP interface."""

    def __init__(self, stack: AsyncExitStack, log: Log, writer: Writer, limits: Limits, domains: Iterable[str]) -> None:
        self._stack = stack
        self.writer = writer
        self._limits = limits
        self._trimmed = time.monotonic()
        self._trimming: asyncio.Task[int] | None = None
        self.log = log
        self.tail = Tail(log)
        self.publishing = Publishing(log, limits.most_waiting)
        self.answer = Api(Guard(domains))
        self.answer.add("POST", "/v1/events", self.publishing.post)
        self.answer.add("GET", "/healthz", self._healthz)
        self.tail.listeners.add(self._trim_now_and_then)

    @classmethod
    async def open(cls, file: Path, limits: Limits, domains: Iterable[str] = ()) -> Broker:
        """Opens the file. Raises `StoresError` with what is wrong with it."""
        async with AsyncExitStack() as stack:
            database = Database(file)
            stack.callback(database.close)
            writer = Writer(database.writer)
            stack.push_async_callback(writer.close)
            log = SqliteLog(database, writer)
            stack.push_async_callback(log.close)
            return cls(stack.pop_all(), log, writer, limits, domains)
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Everything that was accepted is on the disk, and the file is free."""
        if self._trimming:
            await asyncio.wait({self._trimming})
        await self._stack.aclose()

    async def trim(self) -> int:
        """Drops what is old or too much, and delivered to everybody. Returns how many events went."""
        older = time.time() - self._limits.max_age
        return await self.log.trim(self.publishing.delivered(), older, self._limits.max_bytes)

    def _trim_now_and_then(self) -> None:
        now = time.monotonic()
        if now - self._trimmed > _TRIM_EVERY and (self._trimming is None or self._trimming.done()):
            self._trimmed = now
            self._trimming = asyncio.create_task(self.trim())

    async def _healthz(self, _: Request) -> Response:
        facts = {"status": "ok", "last": self.log.last, **await self.log.health()}
        return Response(200, json.dumps(facts, indent=2).encode() + b"\n", {"Content-Type": "application/json"})
