"""The zone on the network: UDP and TCP on the running asyncio loop (asyncio's own or uvloop), no thread, no polling."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Self

from dns.binding import BACKLOG, Binding, bind
from dns.connections import Connections
from dns.message import LONGEST
from dns.zone import Zone

# Datagrams answered before the loop goes on to others: about 1 ms of work.
TURN = 64


class DnsServer:
    """Answers for `zone`, which may be exchanged while it runs; make one with `start`."""

    def __init__(self, zone: Zone, bindings: list[Binding], connections: Connections) -> None:
        self.zone = zone
        self.addresses: tuple[tuple[str, int], ...] = tuple(
            (binding.host, binding.udp.getsockname()[1]) for binding in bindings
        )
        self._bindings = bindings
        self._connections = connections
        self._listeners: list[asyncio.Server] = []

    @classmethod
    async def start(
        cls,
        zone: Zone,
        hosts: Sequence[str] = ("127.0.0.1", "::1"),
        port: int = 0,
        *,
        idle: float = 10.0,
        most_connections: int = 64,
    ) -> Self:
        """Listen on UDP and TCP at each of these IP addresses, on this port; 0: one ephemeral port for all of them.

        A machine without IPv6 has its IPv6 addresses left out. `idle` is in seconds, of TCP connections. Raises OSError
        as the system gave it (errno EADDRINUSE when the port is taken), ValueError for a host that is no address; then
        nothing stays bound.
        """
        bindings = bind(hosts, port)
        server = cls(
            zone, bindings, Connections(lambda query: server.zone.answer(query, tcp=True), most_connections, idle)
        )
        try:
            await server._listen()
        except BaseException:
            await server.close()
            raise
        return server

    @property
    def port(self) -> int:
        """The port, the same for every address and for UDP and TCP."""
        return self.addresses[0][1]

    async def close(self) -> None:
        """Stop listening and end all connections; returns when the port is free again."""
        loop = asyncio.get_running_loop()
        self._connections.close()
        for listener in self._listeners:
            listener.close()
        for binding in self._bindings:
            loop.remove_reader(binding.udp)
            binding.udp.close()
            binding.tcp.close()
        for listener in self._listeners:
            await listener.wait_closed()
        self._bindings, self._listeners = [], []

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for binding in self._bindings:
            listener = await loop.create_server(self._connections.protocol, sock=binding.tcp, backlog=BACKLOG)
            self._listeners.append(listener)
            # Not create_datagram_endpoint: it takes one datagram a turn and queues answers that do not go out.
            loop.add_reader(binding.udp, self._datagrams_arrived, binding.udp)

    def _datagrams_arrived(self, udp: socket.socket) -> None:
        """Answer what waits in a socket. An answer that cannot be sent is dropped: clients ask again."""
        answer = self.zone.answer
        for _ in range(TURN):
            try:
                query, client = udp.recvfrom(LONGEST + 1)  # cut there, a longer query is still too long
                reply = answer(query)
                if reply is not None:
                    udp.sendto(reply, client)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error for an earlier answer, reported by some systems at the next call
                continue
