"""One connection to an upstream: asked for, opened, and spoken HTTP/1.1 on.

Internal classes of mitmproxy, pinned versions: `tests/test_gateway_mitmproxy.py` says which of them moved.
"""

# mypy: disallow-untyped-calls=False
# mitmproxy is typed in parts only.
from __future__ import annotations

from dataclasses import dataclass

from mitmproxy.connection import Server
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import GetHttpConnection, RegisterHttpConnection

from proxy_addons.decision import Upstream
from proxy_addons.mitm.http1 import Commands, UpstreamHttp1

_NOWHERE = Upstream(("", 0))


class UpstreamServer(Server):
    """A connection to an upstream, with the time that it may take to come about."""

    connect_timeout: float = 10.0
    timed_out: bool = False


@dataclass(eq=False)
class OpenUpstream(GetHttpConnection):
    """Asks the HTTP layer for a connection to `upstream`, or for a free one to any of `alternatives`."""

    upstream: Upstream = _NOWHERE
    alternatives: tuple[Upstream, ...] = ()
    server: UpstreamServer | None = None

    __hash__ = GetHttpConnection.__hash__


class UpstreamLayer(layer.Layer):
    """Opens one upstream connection and then speaks HTTP/1.1 on it."""

    def __init__(self, context: Context, upstream: Upstream) -> None:
        super().__init__(context)
        self.upstream = upstream
        self._http: UpstreamHttp1 | None = None

    def take(self, oldest: float) -> bool:
        """Takes it for a request, if it has been free since `oldest` at the earliest."""
        if self._http is None or self._http.free_since is None or self._http.free_since < oldest:
            return False
        self._http.free_since = None
        return True

    def _handle_event(self, event: events.Event) -> Commands:
        error = yield commands.OpenConnection(self.context.server)
        if not error:
            self._http = UpstreamHttp1(self.context)
            self._handle_event = self._http.handle_event  # type: ignore[method-assign]  # as mitmproxy's layers hand over
            yield from self._http.handle_event(event)
        yield RegisterHttpConnection(self.context.server, error)
