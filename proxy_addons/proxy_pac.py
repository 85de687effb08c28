"""``http://127.0.0.1:PORT/proxy.pac``: browsers are told to ask this gateway for our hosts, and only for those.

For machines where nobody may set up DNS. The format is the one of Netscape's old page on proxy auto-configuration; all
browsers and systems still read it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from mitmproxy.http import Response

from procman.routes import Route
from proxy_addons.decision import decide, decision_of
from proxy_addons.view import Current

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

PATH: Final = "/proxy.pac"
_TEXT: Final = """\
// The hosts of one workspace are asked of its gateway; all others go where they went before.
function FindProxyForURL(url, host) {
  var domain = %s;
  host = host.toLowerCase().replace(/\\.$/, "");
  if (host === domain || host.slice(-domain.length - 1) === "." + domain) return %s;
  return "DIRECT";
}
"""
_HEADERS: Final = {
    "Content-Type": "application/x-ns-proxy-autoconfig",
    "Cache-Control": "no-cache",  # asked again with each start of the browser: ports move
    "X-Content-Type-Options": "nosniff",
}


class ProxyPac:
    """Answers on the machine's own names, below which there is no service."""

    def __init__(self, current: Current) -> None:
        self._current = current

    def requestheaders(self, flow: HTTPFlow) -> None:
        """After the routing, which finds no service here."""
        decision = decision_of(flow)
        if decision is None or flow.request.path.partition("?")[0] != PATH:
            return
        view = self._current.view
        if view.itself(decision.site) and flow.request.method in {"GET", "HEAD"}:
            decide(flow, decision.answered(Route.LOCAL))
            text = proxy_pac(view.snapshot.domain, view.snapshot.gateway.http)
            flow.response = Response.make(200, text, _HEADERS)


def proxy_pac(domain: str, port: int) -> str:
    """The file's text. `port`: the gateway's for HTTP, which takes CONNECT for HTTPS and WebSockets too."""
    return _TEXT % (json.dumps(domain), json.dumps(f"PROXY 127.0.0.1:{port}"))
