"""Mitmproxy as one more upstream: each link is a socket pair, with mitmproxy's own connection handler at its other end.

A link carries one request at a time. Who its client is, mitmproxy learns beside the bytes, from the object at the other
end, so that no header of a client can forge it. Links are shared by all clients, as connections to a service are, so
that a connection to the remote is used again by whoever asks for it next.
"""

# mypy: disallow-untyped-calls=False
# mitmproxy is typed in parts only.
from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from proxy_addons.front import policy, refusal
from proxy_addons.front.client import Client
from proxy_addons.front.clock import Clock
from proxy_addons.front.connecting import Connecting
from proxy_addons.front.exchange import Asker, Request
from proxy_addons.front.pool import Pool
from proxy_addons.front.turns import Turns
from proxy_addons.front.upstream import Upstream
from proxy_addons.problem import Problem
from proxy_addons.verdict import Verdicts

if TYPE_CHECKING:
    from proxy_addons.mitm.server import Connection, StoresServer

#: Bytes of a host that is told apart: those of any name in DNS, and a port.
_LONGEST_HOST: Final = 260
#: Hosts whose links are told apart before those without a link are forgotten.
_MOST_HOSTS: Final = 256
_NOBODY = ("127.0.0.1", 0)

#: Whether a request is answered by somebody else in this process, with the arguments of `SlowPath.ask`.
Takes = Callable[[Request, Asker, bytes, bool], bool]


def nobody_takes(*_: object) -> bool:
    """There is nobody else."""
    return False


class SlowPath:
    """All links."""

    def __init__(
        self,
        server: Callable[[], Awaitable[StoresServer]],
        verdicts: Verdicts,
        clock: Clock,
        takes: Takes = nobody_takes,
    ) -> None:
        """`server` waits for mitmproxy, which takes longer to import than the front needs to serve."""
        self._server = server
        self._verdicts = verdicts
        self._clock = clock
        self.turns = Turns(asyncio.get_running_loop())
        self._takes = takes
        # By host, so that a request finds the link whose other end is connected to its remote already.
        self._pools: dict[bytes | None, Pool] = {}
        self._serving: set[asyncio.Task[None]] = set()

    def ask(self, request: Request, asker: Asker, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Front.ask`
        """Has mitmproxy answer, unless somebody else takes it."""
        if not self._takes(request, asker, data, ended):
            self._ask(request, asker, data, ended, None)

    def ask_page(self, request: Request, asker: Asker, problem: Problem) -> None:
        """Has the page about `problem` answer, whatever becomes of the request's body."""
        self._ask(policy.without_body(request), asker, b"", True, problem)

    def _ask(self, request: Request, asker: Asker, data: bytes, ended: bool, problem: Problem | None) -> None:  # noqa: FBT001 - as in `Front.ask`
        head = policy.head_for_mitmproxy(request)
        pool = self._pool(request.host)
        at_once = self.turns.take()
        link = pool.take() if at_once else None
        if isinstance(link, _Link):
            link.verdict = problem
            link.begin(request, head, asker, data, ended)
            return
        link_to_be = self._open(pool, problem) if at_once else self._in_turn(pool, problem)
        Connecting(request, head, asker, self._unanswered).start(link_to_be, data, ended)

    async def _in_turn(self, pool: Pool, problem: Problem | None) -> _Link:
        await self.turns.wait()
        link = pool.take()
        if not isinstance(link, _Link):
            return await self._open(pool, problem)
        link.verdict = problem
        return link

    def _pool(self, host: bytes | None) -> Pool:
        if host is not None and len(host) > _LONGEST_HOST:
            host = None  # it leads nowhere, so its links are as good as any
        pool = self._pools.get(host)
        if pool is None:
            if len(self._pools) >= _MOST_HOSTS:
                self._pools = {host: pool for host, pool in self._pools.items() if not pool.empty}
            pool = self._pools[host] = Pool(self._clock)
        return pool

    async def _open(self, pool: Pool, problem: Problem | None) -> _Link:
        server = await self._server()
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        try:
            reader, writer = await _streams(theirs)
            connection = server.accept(reader, writer)
            link = _Link(pool, self._failed, connection, self._verdicts)
            link.verdict = problem
            await loop.create_unix_connection(lambda: link, sock=ours)
        except BaseException:
            ours.close()
            theirs.close()
            raise
        serving = loop.create_task(server.attend(connection))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        return link

    def _failed(self, _: Upstream, request: Request, asker: Asker, error: OSError) -> None:
        self._unanswered(request, asker, error)

    @staticmethod
    def _unanswered(_: Request, asker: Asker, __: OSError) -> None:
        """Mitmproxy closed the link, which it does only when it crashed; it has logged that."""
        asker.on_response(*refusal.response(502), True)

    def close(self) -> None:
        """Closes the links that no request is on."""
        for pool in self._pools.values():
            pool.close()


class _Link(Upstream):
    """Our end of a link."""

    __slots__ = ("_connection", "_verdicts", "verdict")

    def __init__(self, pool: Pool, failed: Any, connection: Connection, verdicts: Verdicts) -> None:
        super().__init__(pool, failed, local=False)
        self._connection = connection
        self._verdicts = verdicts
        #: What the next request's page is to be about.
        self.verdict: Problem | None = None

    def begin(self, request: Request, head: bytes, asker: Asker, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Exchange.send`
        """Tells mitmproxy who asks, and then what."""
        _introduce(self._connection, request.client)
        if self.verdict is not None:
            self._verdicts[self._connection.client.id] = self.verdict
            self.verdict = None
        super().begin(request, head, asker, data, ended)

    def connection_lost(self, error: Exception | None) -> None:
        """A client that left before mitmproxy saw its request leaves its verdict behind."""
        self._verdicts.pop(self._connection.client.id, None)
        super().connection_lost(error)


class _Writer(asyncio.StreamWriter):
    """Mitmproxy asks a connection for its addresses when it is made, and a socket pair has none."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Nobody's, until a request comes."""
        return _NOBODY if name in {"peername", "sockname"} else super().get_extra_info(name, default)


async def _streams(end: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.create_unix_connection(lambda: protocol, sock=end)
    return reader, _Writer(transport, protocol, reader, loop)


def _introduce(connection: Connection, client: Client) -> None:
    """Makes mitmproxy's client the one that asks now."""
    known = connection.client
    known.peername, known.sockname = client.peer, client.local
    tls = client.tls
    known.tls = tls is not None
    known.tls_version = tls.version if tls else None  # type: ignore[assignment]  # a literal of mitmproxy's
    known.cipher, known.sni = (tls.cipher, tls.sni) if tls else (None, None)
    # what is spoken on the link, whatever the client speaks with us
    known.alpn = b"http/1.1" if tls else None
    known.timestamp_tls_setup = time.time() if tls else None
