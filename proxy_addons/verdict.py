"""What the front found out before mitmproxy saw a request: its service refused it, broke off, or was too slow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy_addons.decision import decide, decision_of
from proxy_addons.problem import Problem

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

#: By the id of mitmproxy's client connection, which carries one request at a time.
Verdicts = dict[str, Problem]


class Verdict:
    """The page is asked for, and nobody else: the request was with its service already."""

    def __init__(self, verdicts: Verdicts) -> None:
        self._verdicts = verdicts

    def requestheaders(self, flow: HTTPFlow) -> None:
        """After the routing, which it overrules."""
        problem = self._verdicts.pop(flow.client_conn.id, None)
        decision = decision_of(flow)
        if problem is not None and decision is not None:
            decide(flow, decision.failed(problem))
