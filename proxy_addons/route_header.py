"""Says on every answer of ours which way it came: ``X-Stores-Route: local|remote|fallback``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from procman.routes import Route
from proxy_addons.decision import decision_of

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

HEADER = "X-Stores-Route"


class RouteHeader:
    """Last in the chain, so that nothing behind it can take it away or forge it."""

    def responseheaders(self, flow: HTTPFlow) -> None:
        """Also for 101 and for pages; never for foreign traffic that only passes through."""
        decision = decision_of(flow)
        if flow.response is not None and (decision is None or decision.route is not None):
            flow.response.headers[HEADER] = str((decision.route if decision else None) or Route.FALLBACK)
