"""Tells a local service how its client came: ``X-Forwarded-*`` and ``Forwarded`` (RFC 7239)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from procman.routes import Route
from proxy_addons.decision import decision_of
from proxy_addons.site import Site

if TYPE_CHECKING:
    from mitmproxy.http import Headers, HTTPFlow

#: What a client may claim and nobody can check. Only the addresses are handed on, as a list with ours at its end.
CLAIMS = (
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-ssl",
    "x-forwarded-scheme",
    "x-real-ip",
)


class Forwarded:
    """Sets them for local services. What goes to a remote does not say through which laptop it came."""

    def requestheaders(self, flow: HTTPFlow) -> None:
        """After the routing, before anything is sent."""
        decision = decision_of(flow)
        if decision is None or decision.route is None:
            return
        if decision.route is Route.LOCAL:
            peer = flow.client_conn.peername
            add(flow.request.headers, peer[0], decision.site)
        else:
            remove(flow.request.headers)


def add(headers: Headers, client: str, site: Site) -> None:
    """`client` is an IP address; `site` is what it asked for, its scheme seen on the connection and not believed."""
    chain = [*headers.get_all("x-forwarded-for"), client]
    earlier = headers.get_all("forwarded")
    for name in CLAIMS:
        headers.pop(name, None)
    headers["X-Forwarded-For"] = ", ".join(chain)
    headers["X-Forwarded-Proto"] = site.scheme
    headers["X-Forwarded-Host"] = site.authority
    headers["X-Forwarded-Port"] = str(site.port)
    headers["Forwarded"] = ", ".join([*earlier, element(client, site)])


def element(client: str, site: Site) -> str:
    """One element of ``Forwarded`` (RFC 7239, section 4)."""
    node = f'"[{client}]"' if ":" in client else client
    host = f'"{site.authority}"' if set(site.authority) & set(":[]") else site.authority
    return f"for={node};host={host};proto={site.scheme}"


def remove(headers: Headers) -> None:
    """Removes all of them."""
    for name in (*CLAIMS, "x-forwarded-for", "forwarded"):
        headers.pop(name, None)
