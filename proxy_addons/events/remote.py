"""Another broker as this one's remote: where it is, and how it is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from proxy_addons.events import http_binding, log_page
from proxy_addons.events.http_client import HttpClient, Stream
from proxy_addons.events.http_connection import Answer, Place
from proxy_addons.events.log_page import Page
from proxy_addons.events.publishing import BROKER_HEADER
from proxy_addons.events.reading import LOG_HEADER
from proxy_addons.events.sender import head

#: Seconds for an answer.
PATIENCE = 30.0
#: Answers that say that we may not.
DENIED = frozenset({401, 403})
#: What is read of a page, in bytes: a broker of ours ends one after 4 MiB, and with the event of at most 1 MiB (a third
#: more as base64) that goes beyond it.
_LARGEST_PAGE = 8 * 1024 * 1024


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


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a broker is, and which log it has: `last` is the place of the newest event in it."""

    broker: str
    log: str
    last: int


class BadStatusError(Exception):
    """Another status than 200."""

    def __init__(self, status: int) -> None:
        super().__init__(f"answered {status}{', a redirect: it is no event broker' if 300 <= status < 400 else ''}")  # noqa: PLR2004
        self.status = status


class AnotherLogError(Exception):
    """Who answers now has not the log that was followed: it was replaced, or has begun anew."""


class RemoteBroker:
    """Asks the other broker. Each method raises ``OSError``, `BadStatusError`, ``TimeoutError`` or ``ValueError``."""

    def __init__(self, client: HttpClient, remote: Remote, broker_id: str) -> None:
        """`broker_id` is our own."""
        self.remote = remote
        self._client = client
        self._broker_id = broker_id

    async def identity(self) -> Identity:
        """Who it is."""
        answer = await self._ask("/healthz?facts=no", PATIENCE)
        told: dict[str, Any] = json.loads(answer.body)
        try:
            broker = str(told["broker"])
            return Identity(broker, str(told.get("log", broker)), int(told["last"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"its /healthz is none of an event broker: {error}") from error

    async def page(self, log: str, after: int, types: Iterable[str], wait: float, limit: int) -> Page:
        """The next events, or none after a wait of so many seconds there. Raises `AnotherLogError`."""
        answer = await self._ask(f"{_path(after, types)}&wait={wait:g}&limit={limit}", wait + PATIENCE)
        same_log(answer, log)
        if answer.cut:
            raise ValueError(f"its page of {limit} events is larger than {_LARGEST_PAGE} bytes")
        page = log_page.parse(answer.body)
        if page.after < after:
            raise AnotherLogError
        return page

    def stream(self, after: int, types: Iterable[str]) -> Stream:
        """The stream of events, not yet asked for."""
        return Stream(self.remote.place, self._request(_path(after, types), b"text/event-stream"))

    async def _ask(self, path: str, patience: float) -> Answer:
        async with asyncio.timeout(patience):
            request = self._request(path, b"application/json")
            answer = await self._client.request(self.remote.place, request, b"", _LARGEST_PAGE)
        return accepted(answer)

    def _request(self, path: str, accept: bytes) -> bytes:
        headers = [(b"Accept", accept), *self.remote.headers(self._broker_id)]
        return head("GET", path, self.remote.host, headers, 0)


def accepted(answer: Answer) -> Answer:
    """The same. Raises `BadStatusError` where it is not 200."""
    if answer.status != 200:  # noqa: PLR2004 - OK
        raise BadStatusError(answer.status)
    return answer


def same_log(answer: Answer, log: str) -> None:
    """Raises `AnotherLogError` where the answer says that it is about another log."""
    if answer.headers.get(LOG_HEADER.lower(), log) != log:
        raise AnotherLogError


def denied(status: int, remote: Remote) -> str:
    """What to say of a 401 or 403."""
    said = "refuses our token" if remote.token else "wants a token"
    return f"{remote.host} answered {status}: it {said}. Set STORES_EVENTS_TOKEN, then: stores down, stores up -d"


def _path(after: int, types: Iterable[str]) -> str:
    return f"/v1/events?after={after}&type={quote(','.join(sorted(types)), safe=',*.')}"
