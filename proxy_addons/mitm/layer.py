"""Mitmproxy's HTTP layer for one client connection, with a pool of upstream connections of our own.

mitmproxy's pool grows for ever, remembers failed attempts, and gives each request of an HTTP/2 client a connection that
is closed after it. This one forgets what is closed, and uses again what is free.

Internal classes, pinned versions: `tests/test_gateway_mitmproxy.py` says which of them moved.
"""

# mypy: disallow-untyped-calls=False
# mitmproxy is typed in parts only.
from __future__ import annotations

import time

from mitmproxy.connection import ConnectionState, Server
from mitmproxy.proxy import events, tunnel
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import tls
from mitmproxy.proxy.layers.http import (
    GetHttpConnection,
    GetHttpConnectionCompleted,
    HttpLayer,
    HTTPMode,
    _upstream_proxy,
)

from proxy_addons.mitm.http1 import ClientHttp1, ClientHttp2, Commands
from proxy_addons.mitm.stream import GatewayStream
from proxy_addons.mitm.upstream import OpenUpstream, UpstreamLayer, UpstreamServer

#: Seconds that a free upstream connection is used again. Node closes after 5, and a request must not meet that.
_KEEP_FREE = 4.0


class GatewayHttpLayer(HttpLayer):
    """One client connection."""

    def __init__(self, context: Context) -> None:
        # "regular": the destination is in each request (its URL, :authority or Host), and CONNECT is understood
        super().__init__(context, HTTPMode.regular)
        self._pool: dict[Server, UpstreamLayer] = {}

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, events.Start):
            http2 = self.context.client.alpn == b"h2"
            self.connections[self.context.client] = (ClientHttp2 if http2 else ClientHttp1)(self.context.fork())
        elif isinstance(event, events.ConnectionEvent) and event.connection not in self.connections:
            return  # the last word of an upstream that was pruned
        yield from super()._handle_event(event)

    def make_stream(self, stream_id: int) -> Commands:
        """A new request."""
        self._prune()
        self.streams[stream_id] = GatewayStream(self.context.fork(), stream_id)
        yield from self.event_to_child(self.streams[stream_id], events.Start())

    def _prune(self) -> None:
        """Forgets closed upstreams that no request uses: mitmproxy keeps them, and looks through them every time."""
        used = {stream.context.server for stream in self.streams.values()}
        for connection in [
            connection
            for connection in self.connections
            if isinstance(connection, Server)
            and connection.state is ConnectionState.CLOSED
            and connection not in used
            and connection not in self.waiting_for_establishment
        ]:
            del self.connections[connection]
            self._pool.pop(connection, None)

    def get_connection(self, event: GetHttpConnection, *, reuse: bool = True) -> Commands:  # noqa: ARG002 - mitmproxy's
        """A free connection to one of the alternatives, else a new one."""
        if not isinstance(event, OpenUpstream):
            raise TypeError("only GatewayStream asks for connections")
        free = self._free(event)
        if free is not None:
            stream = self.command_sources.pop(event)
            yield from self.event_to_child(stream, GetHttpConnectionCompleted(event, (free, None)))
            return
        context = self.context.fork()
        context.server = event.server = UpstreamServer(address=event.address)
        context.server.connect_timeout = event.upstream.connect_timeout
        stack = tunnel.LayerStack()
        if event.upstream.proxy is not None:
            context.server.via = ("http", event.upstream.proxy)
            proxy = UpstreamServer(address=event.upstream.proxy)
            proxy.connect_timeout = event.upstream.connect_timeout
            stack /= _upstream_proxy.HttpUpstreamProxy(context, proxy, True)
        if event.upstream.tls_name is not None:
            context.server.sni = event.upstream.tls_name
            context.server.alpn_offers = (b"http/1.1",)
            stack /= tls.ServerTLSLayer(context)
        self._pool[context.server] = upstream = UpstreamLayer(context, event.upstream)
        stack /= upstream
        self.connections[context.server] = stack[0]
        self.waiting_for_establishment[context.server].append(event)
        yield from self.event_to_child(stack[0], events.Start())

    def _free(self, event: OpenUpstream) -> Server | None:
        oldest = time.monotonic() - _KEEP_FREE
        for connection, upstream in self._pool.items():
            if upstream.upstream in event.alternatives and connection.connected and upstream.take(oldest):
                return connection
        return None
