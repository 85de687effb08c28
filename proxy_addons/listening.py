"""The sockets on which the gateway listens: inherited from the supervisor, or bound here."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass

_BACKLOG = 1024
_SCHEMES = {"http": False, "https": True}


@dataclass(frozen=True, slots=True)
class Listener:
    """One listening socket, and whether TLS is spoken on it."""

    socket: socket.socket
    tls: bool

    @property
    def port(self) -> int:
        """Its number."""
        return int(self.socket.getsockname()[1])


def inherited(description: str) -> list[Listener]:
    """The sockets that STORES_LISTEN names, ``http=3,http=4,https=5``: bound and listening already.

    Raises ``ValueError`` for text of another form, ``OSError`` for a number that is no open socket.
    """
    listeners = []
    for part in filter(None, (part.strip() for part in description.split(","))):
        scheme, _, number = part.partition("=")
        if scheme not in _SCHEMES or not number.isdecimal():
            raise ValueError(f'"{part}" is not http=NUMBER or https=NUMBER')
        listeners.append(Listener(_prepared(socket.socket(fileno=int(number))), _SCHEMES[scheme]))
    return listeners


def bound(ports: dict[str, int | None]) -> list[Listener]:
    """Sockets bound here, on 127.0.0.1 and, where there is one, ::1; never on an address that others can reach.

    `ports`: a scheme's port; None for a scheme that is not served.
    """
    listeners = []
    for scheme, port in ports.items():
        if port is None:
            continue
        tls = _SCHEMES[scheme]
        first = Listener(_listen(socket.AF_INET, ("127.0.0.1", port)), tls)
        listeners.append(first)
        # The same number for both families, also where 0 asked for any. A machine may have no IPv6.
        with suppress(OSError):
            listeners.append(Listener(_listen(socket.AF_INET6, ("::1", first.port)), tls))
    return listeners


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
