"""Holds the first requests for a service that sleeps until it is awake (``start = "on-request"``)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from procman.errors import StoresError
from procman.snapshot import ServiceStatus
from procman.state import AT_REST, BROKEN
from proxy_addons.decision import Decision, decide, decision_of
from proxy_addons.fallback.acceptance import Form, form_of
from proxy_addons.problem import Code, Problem
from proxy_addons.sleep.starts import Starts
from proxy_addons.view import Current

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

_ASLEEP: Final = frozenset({Code.STOPPED, Code.STARTING, Code.STOPPING, Code.EXITED})
#: Seconds after which a person is shown that something happens. Whoever sent more than a question is held on: the page
#: would lose what was sent.
_PATIENCE_OF_PEOPLE: Final = 2.0


class Waking:
    """However many ask, it is started once; they go on in the order in which they came."""

    def __init__(self, current: Current, starts: Starts) -> None:
        self._current = current
        self._starts = starts

    async def requestheaders(self, flow: HTTPFlow) -> None:
        """After the routing. What the client sends meanwhile waits with it."""
        decision = decision_of(flow)
        if decision is None or decision.service is None or flow.response is not None:
            return
        if decision.service.name in self._current.falling_asleep:
            decision = await self._asleep(decision, decision.service)
            decide(flow, decision)
        if decision.service is None or decision.problem is None:
            return
        if decision.service.start != "on-request" or decision.problem.code not in _ASLEEP:
            return
        patience = decision.service.ready_timeout
        if flow.request.method in {"GET", "HEAD"} and form_of(flow.request.headers.get("accept", "")) is Form.HTML:
            patience = min(patience, _PATIENCE_OF_PEOPLE)
        try:
            async with asyncio.timeout(patience):
                decide(flow, await self._awake(decision, decision.service.name))
        except TimeoutError:
            decide(flow, self._current.view.again(decision).failed(Problem(Code.STARTING)))

    async def _asleep(self, decision: Decision, service: ServiceStatus) -> Decision:
        """The decision once it sleeps, or does not: a request that came in that moment is none that is lost."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(service.ready_timeout):
                while service.name in self._current.falling_asleep:
                    await self._current.next()
        return self._current.view.again(decision)

    async def _awake(self, decision: Decision, name: str) -> Decision:
        """The decision once there is a lasting one: it answers, or it will not."""
        start = self._starts.begin(name)
        while True:
            now = self._current.view.again(decision)
            if now.problem is None or now.service is None or now.service.state in BROKEN:
                return now
            refused = _refusal(start) if now.service.state in AT_REST else ""
            if refused:
                return now.failed(Problem(Code.NOT_STARTED, refused))
            told = asyncio.ensure_future(self._current.next())
            waits: set[asyncio.Future[None]] = {told} if start.done() else {told, start}
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                told.cancel()


def _refusal(start: asyncio.Task[None]) -> str:
    """Why the supervisor did not start it; empty: it does, or its word about that is still on its way."""
    if start.done():
        try:
            start.result()
        except StoresError as error:
            return f"{error.message} {error.hint}".strip()
    return ""
