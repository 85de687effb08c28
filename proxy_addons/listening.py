"""The sockets on which the gateway listens: inherited from the supervisor, or bound here."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import suppress

_BACKLOG = 1024


#: What HTTP's clients connect to; the event broker has a port of its own.
HTTP = frozenset({"http", "https"})
EVENTS = frozenset({"events"})


def inherited(description: str, schemes: frozenset[str] = HTTP) -> list[socket.socket]:
    """The sockets of `schemes` that STORES_LISTEN names, ``http=3,https=5,events=7``: bound and listening already.

    Between http and https the word is for the reader: what a client speaks is seen from its first bytes. Raises
    ``ValueError`` for text of another form, ``OSError`` for a number that is no open socket.
    """
    sockets = []
    for part in filter(None, (part.strip() for part in description.split(","))):
        scheme, _, number = part.partition("=")
        if scheme not in HTTP | EVENTS or not number.isdecimal():
            raise ValueError(f'"{part}" is not http=NUMBER, https=NUMBER or events=NUMBER')
        if scheme in schemes:
            sockets.append(_prepared(socket.socket(fileno=int(number))))
    return sockets


def bound(ports: Iterable[int]) -> list[socket.socket]:
    """Sockets bound here, on 127.0.0.1 and, where there is one, ::1; never on an address that others can reach."""
    sockets = []
    for port in ports:
        listener = _listen(socket.AF_INET, ("127.0.0.1", port))
        sockets.append(listener)
        # The same number for both families, also where 0 asked for any. A machine may have no IPv6.
        with suppress(OSError):
            sockets.append(_listen(socket.AF_INET6, ("::1", listener.getsockname()[1])))
    return sockets


def _listen(family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
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
    return _prepared(listener)


def _prepared(listener: socket.socket) -> socket.socket:
    listener.setblocking(False)
    listener.set_inheritable(False)
    return listener
