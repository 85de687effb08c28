"""The port on which the broker listens: 127.0.0.1 and ::1, never an address that others can reach."""

from __future__ import annotations

import socket
from contextlib import suppress

_BACKLOG = 1024


def listen(port: int) -> list[socket.socket]:
    """Sockets on one port number for both families, any free one for 0. Raises ``OSError`` where it is taken."""
    first = _bound(socket.AF_INET, ("127.0.0.1", port))
    sockets = [first]
    with suppress(OSError):  # a machine may have no IPv6
        sockets.append(_bound(socket.AF_INET6, ("::1", first.getsockname()[1])))
    return sockets


def _bound(family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
