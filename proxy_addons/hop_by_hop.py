"""Removes what concerns one connection only (RFC 9110, section 7.6.1), in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy_addons.decision import decision_of

if TYPE_CHECKING:
    from mitmproxy.http import Headers, HTTPFlow

FIELDS = ("connection", "keep-alive", "proxy-connection", "te", "upgrade", "http2-settings")
PROXY_FIELDS = ("proxy-authorization",)


class HopByHop:
    """Mitmproxy hands these on. ``Transfer-Encoding`` stays: it tells mitmproxy's own writers how to frame the body."""

    def requestheaders(self, flow: HTTPFlow) -> None:
        """After the routing."""
        if decision_of(flow) is None:
            return
        headers = flow.request.headers
        remove(headers)
        for name in PROXY_FIELDS:
            headers.pop(name, None)
        # One version on the way to the upstream, whatever the client speaks. HTTP/2 stays marked: mitmproxy's writer
        # joins its cookie fields.
        if flow.request.http_version == "HTTP/1.0":
            flow.request.http_version = "HTTP/1.1"

    def responseheaders(self, flow: HTTPFlow) -> None:
        """Before the answer goes to the client."""
        if flow.response is not None and decision_of(flow) is not None:
            remove(flow.response.headers)


def remove(headers: Headers) -> None:
    """Removes the fields, and those that ``Connection`` names. A change of protocol keeps its two."""
    named = {name.strip().lower() for value in headers.get_all("connection") for name in value.split(",")}
    protocol = headers.get("upgrade", "") if "upgrade" in named else ""
    for name in (*FIELDS, *named):
        # the body's framing is not the peer's to switch off by naming it (CVE-2023-25690's family)
        if name and name not in {"transfer-encoding", "content-length", "host"}:
            headers.pop(name, None)
    if protocol and protocol.lower() != "h2c":
        headers["Connection"], headers["Upgrade"] = "Upgrade", protocol
