"""Mitmproxy's server side: a proxy mode of our own, its connections, and the choice of each connection's layers.

Internal classes, pinned versions: `tests/test_gateway_mitmproxy.py` says which of them moved.
"""

# mypy: disallow-untyped-calls=False
# mitmproxy is typed in parts only.
from __future__ import annotations

import asyncio
import collections
import contextlib
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mitmproxy import ctx
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import commands, layer, layers, mode_servers, mode_specs
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpStream

from proxy_addons import keepalive
from proxy_addons.decision import decision_of
from proxy_addons.mitm.layer import GatewayHttpLayer
from proxy_addons.mitm.stream import TAIL
from proxy_addons.mitm.upstream import UpstreamServer

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

#: mitmproxy lets a client have 5 connections to one upstream; the sixth event stream of a browser would hang for ever.
_MOST_UPSTREAMS = 1024
#: Seconds without a byte after which mitmproxy ends a connection: a WebSocket may be silent for a night. (12.x has an
#: option for it, 11.x has not.)
_SILENCE = 24 * 3600
#: The first byte of a TLS handshake record (RFC 8446, section 5.1).
_HANDSHAKE = b"\x16"


class StoresMode(mode_specs.ProxyMode):
    """``stores``: reverse proxy for the workspace's hosts and forward proxy for all others, on the same ports."""

    description = "Gateway"
    transport_protocol = mode_specs.TCP

    def __post_init__(self) -> None:
        """Nothing to check: the mode takes no argument."""


class StoresServer(mode_servers.AsyncioServerInstance[StoresMode]):
    """Makes mitmproxy's connections for the front, which does the listening (`front/slow_path.py`)."""

    def make_top_layer(self, context: Context) -> layer.Layer:
        """Leaves the choice of the next one to `Layers`, when the first bytes are there."""
        return layers.modes.HttpProxy(context)

    def accept(self, reader: Any, writer: Any) -> Connection:
        """A client connection, to be attended to."""
        connection = Connection(ctx.master, reader, writer, ctx.options, self.mode)
        connection.layer = self.make_top_layer(connection.layer.context)
        return connection

    async def attend(self, connection: Connection) -> None:
        """To its end."""
        with self.manager.register_connection(connection.client.id, connection):
            await connection.handle_client()


class Connection(mode_servers.ProxyConnectionHandler):
    """A client connection and the upstream connections that its requests need."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.max_conns = collections.defaultdict(lambda: asyncio.Semaphore(_MOST_UPSTREAMS))
        self.timeout_watchdog.timeout = _SILENCE
        self._timers: dict[str, asyncio.TimerHandle] = {}

    async def open_connection(self, command: commands.OpenConnection) -> None:
        """With a limit for TCP and TLS handshake together, which mitmproxy leaves to the kernel's two minutes."""
        server = command.connection
        task = asyncio.current_task()
        if isinstance(server, UpstreamServer) and task is not None:
            timer = asyncio.get_running_loop().call_later(server.connect_timeout, _time_out, server, task)
            self._timers[server.id] = timer
        try:
            await super().open_connection(command)
        finally:
            self._stop_timer(server.id)
            self._let_go(server)

    def _let_go(self, server: Any) -> None:
        """What mitmproxy leaves open where it was told twice to close: an upstream that still sends waited for ever."""
        left = self.transports.pop(server, None)
        writer: Any = left.writer if left is not None else None
        if writer is not None:
            writer.close()

    async def handle_hook(self, hook: commands.StartHook) -> None:
        """A connection that stands needs no limit any more; while it is decided where to, a client's body waits."""
        if hook.name == "requestheaders":
            with self._holding():
                await super().handle_hook(hook)
            return
        if hook.name == "server_connected":
            server = hook.args()[0].server
            writer: Any = self.transports[server].writer
            keepalive.set_up(writer.get_extra_info("socket"))
            if not server.tls:
                self._stop_timer(server.id)
        elif hook.name == "tls_established_server":
            self._stop_timer(hook.args()[0].conn.id)
        await super().handle_hook(hook)

    @contextlib.contextmanager
    def _holding(self) -> Iterator[None]:
        """Reads nothing from the client: a service may take its time to wake, and mitmproxy keeps all that it has read.

        The socket's buffers fill, then the front's, and then the client waits.
        """
        side = self.transports.get(self.client)
        transport: Any = getattr(side.writer, "transport", None) if side is not None else None
        if transport is None or transport.is_closing():
            yield
            return
        transport.pause_reading()
        try:
            yield
        finally:
            if not transport.is_closing():
                transport.resume_reading()

    def end(self) -> None:
        """Closes the client's side; the upstream's follow."""
        side = self.transports.get(self.client)
        if side is not None and side.handler is not None:
            side.handler.cancel("the gateway ends")

    def _stop_timer(self, server_id: str) -> None:
        timer = self._timers.pop(server_id, None)
        if timer is not None:
            timer.cancel()


def _time_out(server: UpstreamServer, task: asyncio.Task[None]) -> None:
    server.timed_out = True
    task.cancel("connect time-out")


class Layers:
    """Decides from a connection's first bytes what is spoken on it: TLS, and inside it or without it HTTP."""

    name = "nextlayer"  # mitmproxy warns when it has no addon of that name

    def __init__(self) -> None:
        #: The HTTP layers that exist, to see at shutdown whether requests are still running.
        self.http: weakref.WeakSet[GatewayHttpLayer] = weakref.WeakSet()

    def next_layer(self, asked: layer.NextLayer) -> None:
        """Waits for three bytes where the first one could begin a TLS record."""
        data = asked.data_client()
        if asked.layer is not None or not data or (data[:1] == _HANDSHAKE and len(data) < 3):  # noqa: PLR2004 - see above
            return
        inside_tls = any(
            isinstance(above, layers.ClientTLSLayer) for above in asked.context.layers[_innermost(asked) :]
        )
        if starts_like_tls_record(data) and not inside_tls:
            asked.layer = layers.ClientTLSLayer(asked.context)
        else:
            asked.layer = GatewayHttpLayer(asked.context)
            self.http.add(asked.layer)

    def serving(self) -> set[str]:
        """The services that have an open request, WebSockets and tunnels included."""
        return {_service_of(stream.flow) for stream in self._streams() if TAIL not in stream.flow.metadata}

    @property
    def busy(self) -> bool:
        """Whether a request is being answered. A tunnel, a WebSocket, a page's events are none: they have no end."""
        return any(stream.child_layer is None and TAIL not in stream.flow.metadata for stream in self._streams())

    def _streams(self) -> list[HttpStream]:
        """Of connections that are open: what mitmproxy keeps of the others goes when Python collects it."""
        return [
            stream
            for http in list(self.http)
            if http.context.client.timestamp_end is None
            for stream in http.streams.values()
        ]


def _service_of(flow: HTTPFlow) -> str:
    decision = decision_of(flow)
    return decision.service.name if decision is not None and decision.service is not None else ""


def _innermost(asked: layer.NextLayer) -> int:
    """Where the layers begin that belong to the innermost CONNECT: inside it, TLS may come once more."""
    places = [place for place, above in enumerate(asked.context.layers) if isinstance(above, GatewayHttpLayer)]
    return places[-1] + 1 if places else 0
