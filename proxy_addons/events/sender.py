"""One attempt to deliver one event: the request that is sent, and what its end means."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from procman.subscription import Subscription
from proxy_addons.events import http_binding, outcome, signature
from proxy_addons.events.http_binding import Headers
from proxy_addons.events.http_client import HttpClient
from proxy_addons.events.http_connection import Answer, Place, RefusedError
from proxy_addons.events.log import Stored
from proxy_addons.events.outcome import Outcome, Verdict

#: Characters of a refusing answer that a dead letter keeps.
_QUOTED = 300
#: What a terminal would obey instead of showing it: control characters, and those that turn the direction of text.
_COMMANDS = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Sender(Protocol):
    """Delivers to one subscriber."""

    #: Whether there is somebody to deliver to now.
    ready: bool
    #: What is wrong while there is nobody, for people.
    problem: str

    async def send(self, stored: Stored, attempt: int) -> Outcome:
        """One attempt."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A service that subscribes. `addresses` are empty while it does not run; `host` is the name that it knows."""

    name: str
    subscription: Subscription
    host: str
    addresses: tuple[tuple[str, int], ...] = ()


class ServiceSender:
    """To a service on this machine."""

    def __init__(self, client: HttpClient, subscriber: Subscriber, environ: Mapping[str, str], origin: str) -> None:
        """`environ` holds the secrets that subscriptions name; `origin` is who asks in the handshake."""
        self._client = client
        self._environ = environ
        self._origin = origin
        self.problem = ""
        self._validating = asyncio.Lock()
        self.follow(subscriber)

    def follow(self, subscriber: Subscriber) -> None:
        """What is known of the service has changed. What was validated has to be validated anew."""
        self._subscriber = subscriber
        self._wish = subscriber.subscription
        self._place = Place(subscriber.addresses)
        self._validated = not self._wish.validate
        self._interval, self._next = 0.0, 0.0
        self.ready = bool(subscriber.addresses)

    async def send(self, stored: Stored, attempt: int) -> Outcome:
        """POSTs the event. A refused connection is no attempt: nobody was there. Nor is what comes before the POST."""
        try:
            key = self._key()
            await self._be_allowed()
            if stored.event.expired:
                return Outcome(Verdict.WAIT)  # while it was not allowed yet: the lane notices
            outcome = await self._post(*self._message(stored, attempt, key))
        except _HeldError as error:
            self.problem = str(error)
            return Outcome(Verdict.WAIT, reason=self.problem, retry_after=error.seconds)
        except RefusedError:
            self.problem = "nobody listens on its port"
            return Outcome(Verdict.WAIT, reason=self.problem)
        self.problem = ""  # somebody listens
        return outcome

    async def _post(self, head: bytes, body: bytes) -> Outcome:
        try:
            async with asyncio.timeout(self._wish.timeout):
                return judged(await self._client.request(self._place, head, body))
        except RefusedError:
            raise
        except TimeoutError:
            return Outcome(Verdict.RETRY, reason=f"no answer within {self._wish.timeout:g} s")
        except OSError as error:
            # what was ended while it worked has not failed
            return Outcome(Verdict.RETRY if self.ready else Verdict.WAIT, reason=f"the connection broke: {error}")

    def _key(self) -> bytes | None:
        name = self._wish.sign
        if not name:
            return None
        try:
            return signature.key_of(self._environ[name])
        except KeyError:
            raise _HeldError(
                f"${name}, which is to sign its events, is not set where stores was started", math.inf
            ) from None
        except ValueError as error:
            raise _HeldError(f"${name} is no signing secret: {error}", math.inf) from error

    def _message(self, stored: Stored, attempt: int, key: bytes | None) -> tuple[bytes, bytes]:
        mode = http_binding.structured if self._wish.mode == "structured" else http_binding.binary
        headers, body = mode(stored.event)
        headers += [
            (b"Stores-Subscription", self._subscriber.name.encode()),
            (b"Stores-Sequence", b"%d" % stored.seq),
            (b"Stores-Attempt", b"%d" % attempt),
        ]
        if key is not None:
            headers += signature.headers(key, stored.event.identity, int(time.time()), body)
        return head("POST", self._wish.deliver, self._subscriber.host, headers, len(body)), body

    async def _be_allowed(self) -> None:
        """Once it has said that we may, and where it has said how often, in turn."""
        async with self._validating:
            if not self._validated:
                await self._validate()
        if self._interval:
            now = asyncio.get_running_loop().time()
            self._next = max(self._next, now) + self._interval
            await asyncio.sleep(self._next - self._interval - now)

    async def _validate(self) -> None:
        """Asks whether we may, and how often (CloudEvents, HTTP 1.1 Web Hooks, section 4)."""
        asked = [(b"WebHook-Request-Origin", self._origin.encode())]
        question = head("OPTIONS", self._wish.deliver, self._subscriber.host, asked, 0)
        try:
            async with asyncio.timeout(self._wish.timeout):
                answer = await self._client.request(self._place, question, b"")
        except RefusedError:
            raise
        except OSError as error:  # a TimeoutError is one
            raise _HeldError(f"OPTIONS {self._wish.deliver}: {str(error) or 'no answer in time'}") from error
        allowed = answer.headers.get("webhook-allowed-origin", "")
        if allowed not in {"*", self._origin}:
            raise _HeldError(
                f"OPTIONS {self._wish.deliver} answered {answer.status} without WebHook-Allowed-Origin: {self._origin}"
            )
        rate = answer.headers.get("webhook-allowed-rate", "*")
        # as a float: there is no number that is too large for one
        self._interval = 60.0 / float(rate) if rate.isdecimal() and float(rate) else 0.0
        self._validated = True


class _HeldError(Exception):
    """Nothing can be delivered until somebody mends this.

    `seconds` until it is worth another look: ``inf`` for a variable of this process, which can't change.
    """

    def __init__(self, why: str, seconds: float = 0.0) -> None:
        super().__init__(why)
        self.seconds = seconds


def head(method: str, path: str, host: str, headers: Headers, length: int) -> bytes:
    """A request's head."""
    lines = [f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}".encode()]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join([*lines, b"", b""])


def judged(answer: Answer) -> Outcome:
    """What an answer means; what it says goes with it."""
    said = " ".join(answer.body[: _QUOTED * 4].decode("utf-8", "replace").split())[:_QUOTED]
    said = _COMMANDS.sub("\ufffd", said)
    return outcome.of_status(answer.status, answer.headers.get("retry-after", ""), said)
