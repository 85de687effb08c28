"""What the remote is sent of ours: an ordinary durable subscription, whose subscriber is another broker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from procman.subscription import Subscription
from proxy_addons.events import http_binding
from proxy_addons.events.http_client import HttpClient
from proxy_addons.events.http_connection import Answer
from proxy_addons.events.log import Stored
from proxy_addons.events.matching import typed
from proxy_addons.events.outcome import Outcome, Verdict
from proxy_addons.events.remote import DENIED, PATIENCE, Remote, denied
from proxy_addons.events.rules import Rules
from proxy_addons.events.sender import head, judged
from proxy_addons.events.trouble import Trouble

_log = logging.getLogger(__name__)

#: The name of its lane; no service can be called so.
FORWARD = "remote:forward"


class RemoteSender:
    """Sends to the remote what originates here. While it is away, everything waits and no attempt is spent."""

    def __init__(self, client: HttpClient, remote: Remote, broker_id: str) -> None:
        self._client = client
        self._remote = remote
        self._broker_id = broker_id
        self.ready, self.problem = True, ""
        self._trouble = Trouble(_log, f"What is to be forwarded to {remote.host} waits")

    async def send(self, stored: Stored, attempt: int) -> Outcome:  # noqa: ARG002 - a `Sender`
        """One attempt."""
        headers, body = http_binding.binary(stored.event)
        headers += self._remote.headers(self._broker_id)
        try:
            async with asyncio.timeout(PATIENCE):
                request = head("POST", "/v1/events", self._remote.host, headers, len(body))
                answer = await self._client.request(self._remote.place, request, body)
        except (OSError, TimeoutError) as error:
            return self._waiting(f"{self._remote.host} is not reached: {str(error) or 'no answer in time'}")
        if misled := _misled(answer):
            return self._waiting(f"{self._remote.host} answered {answer.status}, {misled}: it is no event broker")
        outcome = judged(answer)
        if outcome.status in DENIED:
            self.ready = False
            return self._waiting(denied(outcome.status or 0, self._remote))
        if outcome.verdict in {Verdict.RETRY, Verdict.GONE}:
            said = f"{self._remote.host} answered {outcome.status}: {outcome.reason}"
            return self._waiting(said.removesuffix(": "), outcome.retry_after)
        self.problem = ""
        self._trouble.ends()
        return outcome

    def _waiting(self, problem: str, retry_after: float = 0.0) -> Outcome:
        self.problem = problem
        self._trouble.begins(problem)
        return Outcome(Verdict.WAIT, reason=problem, retry_after=retry_after)


def _misled(answer: Answer) -> str:
    """What tells of another place than a broker's, where nothing is said about the event; empty for nothing.

    A gate before the remote redirects to its page, or answers with it: the event is neither refused nor taken.
    """
    if 300 <= answer.status < 400:  # noqa: PLR2004 - redirects
        return "a redirect"
    if answer.status < 300 and answer.headers.get("content-type", "").lower().startswith("text/html"):  # noqa: PLR2004
        return "with a page"
    return "no POST" if answer.status == 405 else ""  # noqa: PLR2004 - not allowed


def rules(remote: Remote, key: Callable[[Stored], str]) -> Rules:
    """What is forwarded: the listed types, of what was published here."""
    listed = typed(remote.forward)
    return Rules(lambda stored: not stored.origin and listed(stored.event.type), key, 4, 0, 1.0)


def subscription(remote: Remote) -> Subscription:
    """As what its lane is kept."""
    return Subscription(remote.forward)
