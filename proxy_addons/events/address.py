"""Where publishers connect: one port of this machine, which may become another one while the broker runs."""

from __future__ import annotations

import asyncio
import logging
import socket

from proxy_addons.events.http_message import Handler
from proxy_addons.events.http_server import HttpServer
from proxy_addons.listening import bound

_log = logging.getLogger(__name__)

#: Seconds for what is under way on the port before; a question that waits there for an event may be cut.
_GRACE = 5.0


class Address:
    """`be_at` a port, `close` at the end."""

    def __init__(self, handler: Handler, listeners: list[socket.socket]) -> None:
        """`listeners`: bound already, for the first port; without them it is bound here."""
        self._handler = handler
        self._inherited = listeners
        self._server: HttpServer | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._refused = 0
        self.port = 0

    async def be_at(self, port: int) -> None:
        """Listens there before the port before is given up. Where it is taken, that one stays, and it is said."""
        if port in {0, self.port}:
            return
        server = HttpServer(self._handler)
        try:
            await server.serve(self._inherited or bound([port]))
        except OSError as error:
            if port != self._refused:
                said = "No events on port %d: %s. Another one: STORES_EVENTS_PORT, or [events] port in stores.toml"
                _log.error(said, port, error.strerror)
            self._refused = port
            return
        self._inherited, self._refused = [], 0
        before, self._server, self.port = self._server, server, port
        if before:
            leaving = asyncio.create_task(before.close(_GRACE))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """Accepts no more, lets running requests end."""
        servers = [self._server.close()] if self._server else []
        await asyncio.gather(*servers, *self._leaving)
