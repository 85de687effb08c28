"""Ends a request that comes round for ever: two services that send each other what they cannot answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proxy_addons.decision import decide, decision_of
from proxy_addons.problem import Code, Problem

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

#: Counts the gateways that a request went through. Not ``Via``: nginx then leaves its answers uncompressed.
HEADER = "Stores-Hops"
#: A shop that asks for a reservation that asks for an account is a chain of three. Cloudflare ends at 16, Squid at 10.
MOST_HOPS = 8
_COUNT = re.compile("[0-9]{1,5}")


class LoopGuard:
    """Works for services that hand on the header, as proxies and most development servers' proxy settings do."""

    def requestheaders(self, flow: HTTPFlow) -> None:
        """Counts this pass; past the limit the page answers."""
        decision = decision_of(flow)
        if decision is None or decision.route is None:
            return
        hops = count(flow.request.headers.get_all(HEADER.lower())) + 1
        flow.request.headers[HEADER] = str(hops)
        if hops > MOST_HOPS:
            decide(flow, decision.failed(Problem(Code.LOOP, f"{hops} passes through a gateway")))


def count(values: list[str]) -> int:
    """The highest count that the header's values tell; one that is no number counts as none."""
    return max((int(value) for value in values if _COUNT.fullmatch(value)), default=0)
