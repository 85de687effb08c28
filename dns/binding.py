"""Sockets for one server: UDP and TCP at each of its addresses, all on the same port and shared with nobody."""

import errno
import ipaddress
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

# An ephemeral port is free for the first socket and, now and then, taken for one of the other three.
ATTEMPTS = 20
BACKLOG = 256  # connections that wait to be accepted; one beyond them would wait a second for its next try


class Binding(NamedTuple):
    """The two sockets at one address; both are bound, the second listens, neither blocks."""

    host: str
    udp: socket.socket
    tcp: socket.socket


def bind(hosts: Sequence[str], port: int) -> list[Binding]:
    """Bind UDP and TCP at every address (IP literals), on this port or, for 0, on one ephemeral port free for all.

    IPv6 addresses are left out on a machine without IPv6, unless nothing else was asked for. Raises ValueError for a
    host that is no address, OverflowError for a port that is none, and the system's own OSError (EADDRINUSE, EACCES,
    ...); then nothing stays bound.
    """
    families = {host: _family(host) for host in hosts}
    if not families:
        raise ValueError("a server needs an address to listen on")
    for _ in range(ATTEMPTS - 1):
        try:
            return _bind_all(families, port)
        except OSError as e:
            if port or e.errno != errno.EADDRINUSE:
                raise
    return _bind_all(families, port)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if isinstance(ipaddress.ip_address(host), ipaddress.IPv6Address) else socket.AF_INET


def _bind_all(families: dict[str, socket.AddressFamily], port: int) -> list[Binding]:
    """Bind in order, all or nothing; the first socket settles the port."""
    bindings: list[Binding] = []
    lacking: OSError | None = None
    with ExitStack() as undo:
        for host, family in families.items():
            try:
                binding = _bind_pair(host, family, port)
            except OSError as e:
                if not _lacks_ipv6(host, family, e):
                    raise
                lacking = e
                continue
            undo.callback(binding.udp.close)
            undo.callback(binding.tcp.close)
            port = binding.udp.getsockname()[1]
            bindings.append(binding)
        if lacking and not bindings:
            raise lacking
        undo.pop_all()
    return bindings


def _bind_pair(host: str, family: socket.AddressFamily, port: int) -> Binding:
    with ExitStack() as undo:
        udp = undo.enter_context(_socket(family, socket.SOCK_DGRAM))
        udp.bind((host, port))
        tcp = undo.enter_context(_socket(family, socket.SOCK_STREAM))
        # For TCP this lets a restart bind while old connections are in TIME_WAIT; a second listener is refused anyway.
        # For UDP it would let a second server take the port, so UDP goes first and without.
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((host, udp.getsockname()[1]))
        tcp.listen(BACKLOG)
        undo.pop_all()
    return Binding(host, udp, tcp)


def _socket(family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    opened = socket.socket(family, kind)
    opened.setblocking(False)
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return opened


def _lacks_ipv6(host: str, family: socket.AddressFamily, e: OSError) -> bool:
    """Tell a machine without IPv6 from a wrong address: the kernel lacks the family, or even ::1 is not there."""
    if family != socket.AF_INET6:
        return False
    loopback = ipaddress.ip_address(host).is_loopback
    return e.errno == errno.EAFNOSUPPORT or (e.errno == errno.EADDRNOTAVAIL and loopback)
