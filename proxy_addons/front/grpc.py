"""The way of gRPC calls: to services that speak nothing but HTTP/2, without TLS (gRPC over HTTP/2, "prior knowledge").

A call is a POST over HTTP/2 with a content type of ``application/grpc``. All else that comes over HTTP/2 goes to its
service as HTTP/1.1, which every service understands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from proxy_addons.front.connecting import Connecting
from proxy_addons.front.exchange import Asker, Request

if TYPE_CHECKING:
    from proxy_addons.front.grpc_call import Call
    from proxy_addons.front.grpc_upstream import GrpcUpstream

_CONTENT_TYPE: Final = b"content-type"
_GRPC: Final = b"application/grpc"
#: Connections that a call has made for it, and that are over before it could begin.
_ATTEMPTS: Final = 3


def is_call(request: Request) -> bool:
    """Whether `request`, a POST, is a gRPC call. One of gRPC-Web is none: that is made for HTTP/1.1."""
    if request.version != b"HTTP/2":
        return False
    value = next((value for name, value in request.fields if name == _CONTENT_TYPE), b"")
    return value.startswith(_GRPC) and value[len(_GRPC) : len(_GRPC) + 1] in {b"", b"+", b";"}


class Calls:
    """The connections for calls to one service: one, until its server wants no more calls on it."""

    def __init__(self, connect: Callable[[Callable[[], asyncio.Protocol]], Awaitable[asyncio.BaseProtocol]]) -> None:
        """`connect` makes a connection with the protocol that it is given; raises ``OSError``."""
        self._connect = connect
        self._connections: set[GrpcUpstream] = set()
        self._connecting: asyncio.Task[GrpcUpstream] | None = None

    def ask(
        self,
        request: Request,
        head: bytes,
        asker: Asker,
        data: bytes,
        ended: bool,  # noqa: FBT001 - as in `Exchange.send`
        failed: Callable[[Request, Asker, OSError], None],
    ) -> None:
        """Makes the call; `failed` is told where no answer begins. `head`: as an HTTP/1.1 service would get it."""
        Connecting(request, head, asker, failed).start(self._call(failed), data, ended)

    async def _call(self, failed: Callable[[Request, Asker, OSError], None]) -> Call:
        in_vain = 0
        while in_vain < _ATTEMPTS:
            for connection in self._connections:
                if connection.usable:
                    return connection.call(failed)
            if self._connecting is None:
                self._connecting = asyncio.create_task(self._open())
                self._connecting.add_done_callback(self._connected)
            opened = await asyncio.shield(self._connecting)
            # one that others filled in the meantime is no failure: it is this call's turn with the next
            in_vain += not opened.used and not opened.usable
        raise ConnectionError("the service takes no calls")

    async def _open(self) -> GrpcUpstream:
        from proxy_addons.front.grpc_upstream import GrpcUpstream  # noqa: PLC0415 - h2, which few workspaces need

        connection = await self._connect(lambda: GrpcUpstream(self._connections.discard))
        assert isinstance(connection, GrpcUpstream)
        await connection.greeted()
        self._connections.add(connection)
        return connection

    def _connected(self, task: asyncio.Task[GrpcUpstream]) -> None:
        self._connecting = None
        if not task.cancelled():
            task.exception()  # whoever waited was told; nobody may be waiting any more

    @property
    def busy(self) -> bool:
        """Whether a call is open."""
        return any(connection.busy for connection in self._connections)

    def close(self) -> None:
        """Closes the connections that have no call."""
        for connection in list(self._connections):
            if not connection.busy:
                connection.close()
