"""The front as a whole: it listens, and joins clients, dispatch and mitmproxy."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any, Final

from proxy_addons.decision import LOCAL_ANSWER
from proxy_addons.front.client import HTTP2
from proxy_addons.front.client_http1 import Http1Client
from proxy_addons.front.clients import Clients
from proxy_addons.front.clock import Clock
from proxy_addons.front.dispatch import Dispatch
from proxy_addons.front.slow_path import SlowPath
from proxy_addons.listening import Listener
from proxy_addons.verdict import Verdicts
from proxy_addons.view import Current

if TYPE_CHECKING:
    from proxy_addons.mitm_server import StoresServer

#: Seconds between two ticks, at most: time-outs may be late by that.
_TICK: Final = 10.0
_TICKS_IN_PATIENCE: Final = 8
#: Seconds for a client's half of the TLS handshake.
_HANDSHAKE: Final = 20.0


class Front:
    """Accepts connections from `serve` to `stop_accepting`."""

    def __init__(
        self, current: Current, server: StoresServer, verdicts: Verdicts, answer_timeout: float | None = None
    ) -> None:
        """`server`: mitmproxy's. `answer_timeout`: seconds, instead of the default."""
        patience = answer_timeout or LOCAL_ANSWER
        clock = Clock(asyncio.get_running_loop(), min(_TICK, patience / _TICKS_IN_PATIENCE))
        self._slow_path = SlowPath(server, verdicts, clock)
        self._clock = clock
        self.dispatch = Dispatch(current, self._slow_path, clock, patience)
        self.clients = Clients(self.dispatch, clock)
        self._servers: list[asyncio.AbstractServer] = []

    async def serve(self, listeners: list[Listener], context: ssl.SSLContext) -> None:
        """Accepts connections on all of them; `context` speaks TLS where a listener is for it."""
        loop = asyncio.get_running_loop()
        for listener in listeners:
            if listener.tls:
                server = await loop.create_server(
                    self._greet, sock=listener.socket, ssl=context, ssl_handshake_timeout=_HANDSHAKE
                )
            else:
                server = await loop.create_server(lambda: Http1Client(self.clients), sock=listener.socket)
            self._servers.append(server)

    def _greet(self) -> asyncio.Protocol:
        return _Greeter(self.clients)

    def view_changed(self) -> None:
        """The next request of every connection is looked up anew."""
        self.dispatch.forget()

    def stop_accepting(self) -> None:
        """And closes what only waits; what runs may come to its end."""
        for server in self._servers:
            server.close()
        self._servers = []
        self.clients.close()

    @property
    def busy(self) -> bool:
        """Whether a request is being served."""
        return self.clients.busy

    def close(self) -> None:
        """Lets go of everything."""
        self._clock.stop()
        self.clients.abort()
        self.dispatch.close()
        self._slow_path.close()


class _Greeter(asyncio.Protocol):
    """Hands a connection to who speaks its protocol, once TLS has agreed on it."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def connection_made(self, transport: Any) -> None:
        """TLS stands."""
        http2 = transport.get_extra_info("ssl_object").selected_alpn_protocol() == HTTP2
        protocol = _http2_client(self._clients) if http2 else Http1Client(self._clients)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


def _http2_client(clients: Clients) -> asyncio.Protocol:
    raise NotImplementedError
