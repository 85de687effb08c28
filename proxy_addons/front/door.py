"""The listening sockets: whoever comes is met by who speaks its protocol, which its first byte tells, on every port."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from typing import Any, Final

from proxy_addons.front.client import HTTP2
from proxy_addons.front.client_http1 import Http1Client
from proxy_addons.front.clients import IDLE_TIMEOUT, Clients
from proxy_addons.front.h2_client import Http2Client

_log = logging.getLogger(__name__)

#: The first byte of a TLS handshake record (RFC 8446, section 5.1).
_TLS: Final = b"\x16"
#: Seconds for a client's half of the TLS handshake.
_HANDSHAKE: Final = 20.0
#: Connections that are accepted before something else has its turn.
_AT_ONCE: Final = 64
#: Errors of `accept` that pass when others have closed something (accept(2)), and the seconds to wait for that.
_EXHAUSTED: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_REST: Final = 1.0


class Door:
    """Accepts connections. One that says nothing is only a socket: browsers open some in advance."""

    def __init__(self, clients: Clients, context: ssl.SSLContext) -> None:
        """`context`: for those that speak TLS."""
        self._clients = clients
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._listeners: list[socket.socket] = []
        self._silent: dict[socket.socket, int] = {}  # since which tick
        self._tasks: set[asyncio.Task[None]] = set()
        self._patience = clients.clock.ticks(IDLE_TIMEOUT)
        clients.clock.ticked.append(self._ticked)

    def open(self, listener: socket.socket) -> None:
        """Accepts connections on `listener`, which is listening already."""
        self._listeners.append(listener)
        self._loop.add_reader(listener, self._accept, listener)

    def close(self) -> None:
        """Accepts no more. Whoever comes now waits in the kernel for the next gateway."""
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            listener.close()
        self._listeners = []

    def dismiss_silent(self) -> None:
        """Closes the connections that have not said anything yet."""
        for silent in list(self._silent):
            self._dismiss(silent)

    @property
    def busy(self) -> bool:
        """Whether somebody is being greeted."""
        return bool(self._tasks)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                _log.error("No connection can be accepted: %s. Next attempt in %g s.", error.strerror, _REST)
                self._loop.remove_reader(listener)
                self._loop.call_later(_REST, self._reopen, listener)
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._look(connection)

    def _reopen(self, listener: socket.socket) -> None:
        if listener in self._listeners:
            self._loop.add_reader(listener, self._accept, listener)

    def _look(self, connection: socket.socket) -> None:
        try:
            first = connection.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            if connection not in self._silent:
                self._await(connection)
            return
        except OSError:
            first = b""
        if connection in self._silent:
            del self._silent[connection]
            self._loop.remove_reader(connection)
        if not first:
            connection.close()
            return
        task = self._loop.create_task(self._greet(connection, tls=first == _TLS))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _await(self, connection: socket.socket) -> None:
        clock = self._clients.clock
        self._silent[connection] = clock.now
        self._loop.add_reader(connection, self._look, connection)
        if clock.stands:
            clock.wind()

    async def _greet(self, connection: socket.socket, *, tls: bool) -> None:
        try:
            if tls:
                await self._loop.connect_accepted_socket(
                    lambda: _Greeter(self._clients),
                    connection,
                    ssl=self._context,
                    ssl_handshake_timeout=_HANDSHAKE,
                )
            else:
                await self._loop.connect_accepted_socket(lambda: Http1Client(self._clients), connection)
        except OSError as error:  # TLS that failed is one, too; the transport is closed then
            _log.debug("A client could not be greeted: %s", error)

    def _dismiss(self, connection: socket.socket) -> None:
        del self._silent[connection]
        self._loop.remove_reader(connection)
        connection.close()

    def _ticked(self) -> bool:
        for connection, since in list(self._silent.items()):
            if self._clients.clock.now - since > self._patience:
                self._dismiss(connection)
        return bool(self._silent)


class _Greeter(asyncio.Protocol):
    """Hands a connection to who speaks its protocol, once TLS has agreed on it."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def connection_made(self, transport: Any) -> None:
        """TLS stands."""
        http2 = transport.get_extra_info("ssl_object").selected_alpn_protocol() == HTTP2
        protocol: asyncio.Protocol = Http2Client(self._clients) if http2 else Http1Client(self._clients)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
