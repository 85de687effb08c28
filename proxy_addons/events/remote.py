"""Another broker as this one's remote: what it is sent of ours, and what comes from there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from procman.subscription import Subscription
from proxy_addons.events import http_binding, json_format
from proxy_addons.events.http_client import BadStatusError, HttpClient, Place
from proxy_addons.events.lane import Rules
from proxy_addons.events.log import Log, Stored
from proxy_addons.events.matching import typed
from proxy_addons.events.outcome import Outcome, Verdict
from proxy_addons.events.progress import Progress
from proxy_addons.events.publishing import BROKER_HEADER
from proxy_addons.events.sender import head, judged
from proxy_addons.events.writer import StorageError

_log = logging.getLogger(__name__)

#: The names of its lane and its cursor; no service can be called so.
FORWARD, RECEIVE = "remote:forward", "remote:receive"
#: Seconds: for an answer; without a sign of life on the stream (its heart beats every 15); between two attempts.
_PATIENCE, _SILENCE = 30.0, 45.0
_FIRST_PAUSE, _LAST_PAUSE = 0.5, 30.0
_DENIED = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Remote:
    """Another broker. `forward`: patterns of what it gets; `receive`: whether what it has comes here."""

    url: str
    place: Place
    forward: tuple[str, ...] = ()
    receive: bool = True
    token: str = ""

    @property
    def host(self) -> str:
        """Its name, with the port if that is unusual."""
        return urlsplit(self.url).netloc

    def headers(self, broker_id: str) -> http_binding.Headers:
        """Who we are: what came from us is not sent back."""
        fields = [(BROKER_HEADER, broker_id.encode())]
        return [*fields, (b"Authorization", f"Bearer {self.token}".encode())] if self.token else fields


def denied(status: int, remote: Remote) -> str:
    """What to say of a 401 or 403."""
    said = "refuses our token" if remote.token else "wants a token"
    return f"{remote.host} answered {status}: it {said}. Set STORES_EVENTS_TOKEN, then: stores restart gateway"


class RemoteSender:
    """Sends to the remote what originates here. While it is away, everything waits and no attempt is spent."""

    def __init__(self, client: HttpClient, remote: Remote, broker_id: str) -> None:
        self._client = client
        self._remote = remote
        self._broker_id = broker_id
        self.ready, self.problem = True, ""

    async def send(self, stored: Stored, attempt: int) -> Outcome:  # noqa: ARG002 - a `Sender`
        """One attempt."""
        headers, body = http_binding.binary(stored.event)
        headers += self._remote.headers(self._broker_id)
        try:
            async with asyncio.timeout(_PATIENCE):
                request = head("POST", "/v1/events", self._remote.host, headers, len(body))
                outcome = judged(await self._client.request(self._remote.place, request, body))
        except (OSError, TimeoutError) as error:
            return self._waiting(f"{self._remote.host} is not reached: {str(error) or 'no answer in time'}")
        if outcome.status in _DENIED:
            self.ready = False
            return self._waiting(denied(outcome.status or 0, self._remote))
        if outcome.verdict in {Verdict.RETRY, Verdict.GONE}:
            return self._waiting(f"{self._remote.host} answered {outcome.status}: {outcome.reason}")
        self.problem = ""
        return outcome

    def _waiting(self, problem: str) -> Outcome:
        if not self.problem:  # once, until it works again: it is looked at every few seconds
            _log.warning("What is to be forwarded waits: %s", problem)
        self.problem = problem
        return Outcome(Verdict.WAIT, reason=problem)


def rules(remote: Remote, key: Callable[[Stored], str]) -> Rules:
    """What is forwarded: the listed types, of what was published here."""
    listed = typed(remote.forward)
    return Rules(lambda stored: not stored.origin and listed(stored.event.type), key, 4, 0, 1.0)


def subscription(remote: Remote) -> Subscription:
    """As what its lane is kept."""
    return Subscription(remote.forward)


class Receiving:
    """Follows the remote's stream, and stores each event together with its place there."""

    def __init__(self, client: HttpClient, remote: Remote, log: Log, progress: Progress) -> None:
        self._client = client
        self._remote = remote
        self._log = log
        self._progress = progress
        self._broker_id = progress.broker_id
        self._wanted: frozenset[str] = frozenset()
        self._changed = asyncio.Event()
        self.problem = ""

    def want(self, types: frozenset[str]) -> None:
        """The patterns that somebody here subscribes to."""
        if types != self._wanted:
            self._wanted = types
            self._changed.set()

    async def run(self) -> None:
        """For ever, or until the remote refuses us."""
        pause = _FIRST_PAUSE
        while True:
            self._changed.clear()
            if self._wanted:
                try:
                    await self._until_changed()
                    pause = _FIRST_PAUSE
                    continue
                except BadStatusError as error:
                    if error.status in _DENIED:
                        self.problem = denied(error.status, self._remote)
                        _log.error("No events from the remote: %s", self.problem)
                        return
                    self._failed(f"{self._remote.host} {error}")
                except (OSError, TimeoutError, ValueError, StorageError) as error:
                    self._failed(f"{self._remote.host} is not reached: {str(error) or 'it is silent'}")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause * random.uniform(0.8, 1.2)):  # noqa: S311 - spreads load only
                        await self._changed.wait()
                pause = min(pause * 2, _LAST_PAUSE)
            else:
                await self._changed.wait()

    def _failed(self, problem: str) -> None:
        if not self.problem:
            _log.warning("No events from the remote, which is tried again by itself: %s", problem)
        self.problem = problem

    async def _until_changed(self) -> None:
        """Receives until other types are wanted. Raises whatever ends it before."""
        receiving = asyncio.create_task(self._receive())
        changed = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait({receiving, changed}, return_when=asyncio.FIRST_COMPLETED)
            if receiving.done():
                receiving.result()
                raise ConnectionError("its stream ended")
        finally:
            for task in (receiving, changed):
                task.cancel()
            await asyncio.gather(receiving, changed, return_exceptions=True)

    async def _receive(self) -> None:
        health = await self._ask("/healthz")
        cursor = await self._progress.remote_cursor(RECEIVE)
        if cursor is None:
            cursor = int(health["last"])  # what was before us is not ours
            await self._log.append([], also=_moved(cursor))
        types = quote(",".join(sorted(self._wanted)), safe=",*.")
        headers = [(b"Accept", b"text/event-stream"), *self._remote.headers(self._broker_id)]
        request = head("GET", f"/v1/events?after={cursor}&type={types}", self._remote.host, headers, 0)
        async with contextlib.aclosing(self._client.stream(self._remote.place, request)) as pieces:
            buffer = b""
            while True:
                async with asyncio.timeout(_SILENCE):
                    piece = await anext(pieces, None)
                if piece is None:
                    return
                self.problem = ""
                *blocks, buffer = (buffer + piece).split(b"\n\n")
                for block in blocks:
                    await self._take(block, str(health["broker"]))

    async def _take(self, block: bytes, origin: str) -> None:
        """One event with its place: stored in one transaction, so that a crash neither loses nor repeats it."""
        lines = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
        if b"data" not in lines or b"id" not in lines:
            return
        await self._log.append([json_format.parse(lines[b"data"])], origin, also=_moved(int(lines[b"id"])))

    async def _ask(self, path: str) -> dict[str, Any]:
        headers = self._remote.headers(self._broker_id)
        async with asyncio.timeout(_PATIENCE):
            answer = await self._client.request(
                self._remote.place, head("GET", path, self._remote.host, headers, 0), b""
            )
        if answer.status != 200:  # noqa: PLR2004 - OK
            raise BadStatusError(answer.status)
        value: dict[str, Any] = json.loads(answer.body)
        return value


def _moved(cursor: int) -> Callable[[sqlite3.Connection], object]:
    return lambda one: one.execute("INSERT OR REPLACE INTO remotes VALUES (?, ?)", (RECEIVE, cursor))
