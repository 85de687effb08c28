"""Ends the wait for an answer that does not begin: the page says "too slow" instead of the browser's blank one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy_addons.decision import decision_of
from proxy_addons.mitm.stream import TIMED_OUT

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

_TIMER = "stores.timer"


class Patience:
    """Counts from the end of the request to the head of the answer; what streams after that may take for ever."""

    def __init__(self, give_up: Callable[[HTTPFlow], None], limit: float | None = None) -> None:
        """`give_up` closes the flow's upstream connection. `limit` replaces the decisions' seconds."""
        self._give_up = give_up
        self._limit = limit

    def request(self, flow: HTTPFlow) -> None:
        """The request is complete."""
        decision = decision_of(flow)
        if decision is not None and decision.upstreams and flow.response is None:
            seconds = self._limit or decision.answer_timeout
            flow.metadata[_TIMER] = asyncio.get_running_loop().call_later(seconds, self._end, flow)

    def responseheaders(self, flow: HTTPFlow) -> None:
        """The answer has begun."""
        self._stop(flow)

    def error(self, flow: HTTPFlow) -> None:
        """There will be none."""
        self._stop(flow)

    @staticmethod
    def _stop(flow: HTTPFlow) -> None:
        timer = flow.metadata.pop(_TIMER, None)
        if timer is not None:
            timer.cancel()

    def _end(self, flow: HTTPFlow) -> None:
        flow.metadata[TIMED_OUT] = True
        self._give_up(flow)
