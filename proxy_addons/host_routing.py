"""Decides for each request where it goes: the first question of the chain, and the only place that answers it."""

from __future__ import annotations

from mitmproxy.http import HTTPFlow, Response

from procman.routes import Route
from proxy_addons.decision import REMOTE_CONNECT, Decision, Upstream, decide
from proxy_addons.mitm.stream import ABSOLUTE_FORM, EXPECT, TUNNEL, Tunnel
from proxy_addons.problem import Code, Problem
from proxy_addons.site import Site
from proxy_addons.view import LOOPBACK, Current, View


class HostRouting:
    """Routes by the request's URL, ``:authority`` or ``Host``, in this order (RFC 9112, section 3.2.2)."""

    def __init__(self, current: Current) -> None:
        self._current = current

    def requestheaders(self, flow: HTTPFlow) -> None:
        """Notes the decision, and sets Host to what was decided by."""
        if flow.request.headers.pop("expect", "").lower() == "100-continue":
            # mitmproxy would answer it itself. It is the service's to answer, which may not want the body.
            flow.metadata[EXPECT] = True
        site = site_of(flow)
        if site is None:
            nowhere = Site("http", "", 80)
            decide(flow, Decision(Route.FALLBACK, nowhere, problem=Problem(Code.BAD_HOST)))
            return
        view = self._current.view
        absolute = bool(flow.metadata.get(ABSOLUTE_FORM))
        if absolute and not view.ours(site.host) and not view.itself(site):
            decide(flow, passing_through(flow, site))
            return
        if absolute or flow.request.is_http2:
            flow.request.headers["Host"] = site.authority
        decide(flow, view.decide(site))

    def http_connect(self, flow: HTTPFlow) -> None:
        """CONNECT: a host of ours on a port of ours is served here; all else is a tunnel."""
        if flow.request.is_http2:
            flow.response = Response.make(501, b"CONNECT needs HTTP/1.1 here.\n", {"Content-Type": "text/plain"})
            return
        flow.metadata[TUNNEL] = tunnel(self._current.view, flow.request.host, flow.request.port)


def site_of(flow: HTTPFlow) -> Site | None:
    """What the client asked for; None where that cannot be told. The scheme is the connection's, whatever it claims."""
    request = flow.request
    scheme = "https" if flow.client_conn.tls else "http"
    hosts = request.headers.get_all("host")
    try:
        if flow.metadata.get(ABSOLUTE_FORM):
            host = f"[{request.host}]" if ":" in request.host else request.host.lower()
            return Site(scheme, host.removesuffix("."), request.port)
        if request.is_http2 and request.authority:
            return Site.of_authority(scheme, request.authority)
        return Site.of_authority(scheme, hosts[0]) if len(hosts) == 1 else None
    except ValueError:
        return None


def passing_through(flow: HTTPFlow, site: Site) -> Decision:
    """A foreign URL, given to us as to a proxy."""
    secure = flow.request.scheme == "https"
    upstream = Upstream((flow.request.host, flow.request.port), flow.request.host if secure else None, REMOTE_CONNECT)
    return Decision(None, site, upstreams=(upstream,))


def tunnel(view: View, host: str, port: int) -> Tunnel | None:
    """None where we are the end. A host of ours with another port is some other program on this machine."""
    name = host.lower().removesuffix(".")
    if not view.ours(name):
        return Tunnel(((host, port),))
    if port in view.ports:
        return None
    return Tunnel(tuple((address, port) for address in LOOPBACK))
