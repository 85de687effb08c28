"""HTTP/2 on a transport: what a client's connection is handed to when TLS has agreed on ``h2``."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from proxy_addons.front.client import Client
from proxy_addons.front.clients import Clients
from proxy_addons.front.h2_asker import StreamAsker
from proxy_addons.front.h2_connection import Connection, Phase
from proxy_addons.front.h2_error import ErrorCode
from proxy_addons.front.h2_limits import Limits
from proxy_addons.front.h2_request import Head
from proxy_addons.front.h2_tunnel import TunnelAsker

_log = logging.getLogger(__name__)

#: Seconds that a client gets to take what was written, once the connection is to be closed.
_FAREWELL: Final = 5.0
#: Seconds until the last word of `close`, should the client not answer its PING.
_LAST_CALL: Final = 1.0


class Http2Client(asyncio.Protocol):
    """One connection (`clients.Connection`); each of its streams asks for itself."""

    __slots__ = ("_begun", "_client", "_clients", "_closing", "_connection", "_limits", "_loop", "_transport", "since")

    def __init__(self, clients: Clients, limits: Limits | None = None) -> None:
        self.since = 0
        self._clients = clients
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._begun = 0
        self._closing = False

    # -- what asyncio calls

    def connection_made(self, transport: Any) -> None:
        """It stands, and TLS with it."""
        self._transport = transport
        self._client = Client.of(transport)
        self._connection = Connection(self._stream, self._wake, self._limits)
        self._clients.add(self)

    def data_received(self, data: bytes) -> None:
        """The client has something to say."""
        connection = self._connection
        connection.receive(data)
        begun = connection.unfinished
        if not begun or begun != self._begun:  # what comes in drops does not begin anew with each of them
            self._begun = begun
            self._rest()

    def eof_received(self) -> bool:
        """The client is gone: there is no half of an HTTP/2 connection."""
        return False

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - gone is gone
        """The client is gone, and its requests with it."""
        self._clients.drop(self)
        self._connection.lost()
        # connection and client know each other: until somebody looks for such circles, TLS would keep its 256 kB
        self._transport = None

    def pause_writing(self) -> None:
        """The client does not read as fast as services write."""
        self._connection.sender.block()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._connection.sender.unblock()

    # -- what `Clients` asks

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return bool(self._connection.streams)

    @property
    def waits(self) -> bool:
        """Whether nothing is asked on it."""
        return not self._connection.streams

    @property
    def began(self) -> bool:
        """Whether what it waits for has begun to come."""
        return self._connection.unfinished != 0

    def close(self) -> None:
        """Takes no more requests, answers those that run, and ends it."""
        self._connection.retire()
        self._loop.call_later(_LAST_CALL, self._connection.retire_now)

    def abort(self) -> None:
        """Ends it."""
        if self._transport is not None:
            self._transport.abort()

    def time_out(self) -> None:
        """Ends it, because what had begun did not come to its end."""
        self._connection.close(ErrorCode.ENHANCE_YOUR_CALM, "what was begun was not completed")

    # --

    def _stream(self, head: Head, *place: Any) -> StreamAsker:
        make = TunnelAsker if head.method == b"CONNECT" else StreamAsker
        return make(self._clients.front, self._client, *place)

    def _wake(self) -> None:
        """Writes once for all that happens in this turn of the loop: one TLS record instead of many."""
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        connection, transport = self._connection, self._transport
        if transport is None or transport.is_closing():
            return
        if self._clients.closing and connection.phase == Phase.SERVING:
            self.close()
        sender = connection.sender
        transport.write(sender.take())
        while sender.can_go_on:
            sender.go_on()
            transport.write(sender.take())
        self._rest()
        if connection.phase == Phase.CLOSED and not self._closing:
            self._farewell()

    def _rest(self) -> None:
        """Something has come to its end, or begun: from now on it waits, perhaps."""
        clock = self._clients.clock
        self.since = clock.now
        if clock.stands and not self._connection.streams:
            clock.wind()

    def _farewell(self) -> None:
        self._closing = True
        if self._connection.fault is not None:
            _log.info("An HTTP/2 client was sent away: %s.", self._connection.fault)
        self._transport.close()
        self._loop.call_later(_FAREWELL, self._transport.abort)
