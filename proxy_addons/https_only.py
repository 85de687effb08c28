"""Sends plain HTTP to HTTPS, where the workspace wants that (``[gateway] redirect_to_https = true``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mitmproxy.http import Response

from procman.routes import Route
from proxy_addons.decision import decide, decision_of
from proxy_addons.view import Current

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow


class HttpsOnly:
    """Answers 308, which keeps method and body (RFC 9110, section 15.4.9): a POST is sent again, and not lost."""

    def __init__(self, current: Current) -> None:
        self._current = current

    def requestheaders(self, flow: HTTPFlow) -> None:
        """After the routing: what only passes through to a stranger is not ours to redirect."""
        decision = decision_of(flow)
        if decision is None or decision.route is None or flow.response is not None:
            return
        secure = self._current.view.moved(decision.site)
        if secure is not None:
            decide(flow, decision.answered(Route.FALLBACK))
            to = f"{secure}{flow.request.path}"
            headers = {"Location": to, "Cache-Control": "no-store", "Content-Type": "text/plain; charset=utf-8"}
            flow.response = Response.make(308, f"This workspace wants HTTPS: {to}\n", headers)
