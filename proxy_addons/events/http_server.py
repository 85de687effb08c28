"""A small HTTP/1.1 server for loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from proxy_addons.events.http_message import Handler
from proxy_addons.events.server_connection import Connection


class HttpServer:
    """Listens on sockets of the caller's."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.connections: set[Connection] = set()
        self._servers: list[asyncio.Server] = []

    async def serve(self, listeners: list[socket.socket]) -> None:
        """Accepts from now on."""
        loop = asyncio.get_running_loop()
        for listener in listeners:
            self._servers.append(
                await loop.create_server(lambda: Connection(self.handler, self.connections), sock=listener)
            )

    async def close(self, grace: float = 1.0) -> None:
        """Accepts no more, lets running requests end, but streams."""
        for server in self._servers:
            server.close()
        for connection in tuple(self.connections):
            connection.finish()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while self.connections:  # noqa: ASYNC110 - at the end of a life, and nobody tells
                    await asyncio.sleep(0.01)
        for connection in tuple(self.connections):
            connection.abort()
