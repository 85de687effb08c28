"""The gateway's listening sockets: bound here and inherited by it, so that its restart refuses no connection."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from procman.errors import StoresError
from procman.machine import ports
from procman.settings import Settings

#: The well-known ports, and what is used where the system keeps those for root.
DEFAULTS = {"http": (80, 8080), "https": (443, 8443)}

#: The event broker's scheme, among those of the gateway.
EVENTS = "events"

_ADDRESSES = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_BACKLOG = 4096

#: Seconds. Loopback answers in microseconds, or drops what a firewall does not want.
_PATIENCE = 0.5


@dataclass(frozen=True, slots=True)
class Listening:
    """The sockets of one scheme, all on the same port: one on 127.0.0.1 and, where there is IPv6, one on ::1.

    `port` is the one that clients connect to; the system may redirect it to the sockets' own.
    """

    scheme: str
    port: int
    sockets: tuple[socket.socket, ...]

    def close(self) -> None:
        """Gives the port back."""
        for one in self.sockets:
            one.close()


def gateway(settings: Settings, note: Callable[[str], None]) -> tuple[Listening, Listening]:
    """The sockets for HTTP and HTTPS: the set ports, else 80 and 443, else 8080 and 8443.

    It is said through `note` when clients have to use those, too.

    Raises `StoresError` naming who holds a port. Nothing stays bound then.
    """
    http = _one("http", settings.http, note)
    try:
        return http, _one("https", settings.https, note)
    except StoresError:
        http.close()
        raise


def events(port: int) -> Listening:
    """The event broker's sockets: publishers that start before the gateway find them open. Raises `StoresError`."""
    return _bind(EVENTS, port)


#: The variable in which a supervisor tells the one after it which descriptors are whose: ``http=5,http=6,https=7``.
HANDED_OVER = "STORES_HANDED_OVER"


def hand_over(listening: Iterable[Listening]) -> str:
    """The text for `HANDED_OVER`. The sockets outlive an exec from here on."""
    for one in listening:
        for each in one.sockets:
            each.set_inheritable(True)
    return ",".join(f"{one.scheme}={each.fileno()}" for one in listening for each in one.sockets)


def handed_over(text: str) -> dict[str, list[socket.socket]]:
    """The sockets that `text` names, by scheme."""
    found: dict[str, list[socket.socket]] = {}
    for part in filter(None, text.split(",")):
        scheme, _, number = part.partition("=")
        one = socket.socket(fileno=int(number))
        one.set_inheritable(False)
        found.setdefault(scheme, []).append(one)
    return found


def close_all(sockets: Mapping[str, Iterable[socket.socket]]) -> None:
    """Closes what was handed over and is not wanted."""
    for group in sockets.values():
        for one in group:
            one.close()


def _one(scheme: str, wanted: int | None, note: Callable[[str], None]) -> Listening:
    first, second = DEFAULTS[scheme]
    if wanted is not None:
        return _bind(scheme, wanted)
    try:
        listening = _bind(scheme, first)
        if _arrives(listening.sockets[0], first):
            return listening
        listening.close()
        why = f"port {first} of this machine is redirected"
    except StoresError as error:
        why = f"{error.message[0].lower()}{error.message[1:]}"
    listening = _bind(scheme, second)
    if _arrives(listening.sockets[0], first):  # `stores setup --system` sends the well-known port here
        return Listening(scheme, first, listening.sockets)
    note(f"{scheme} is served on port {second}: {why}")
    return listening


def leads_to(public: int, own: int) -> bool:
    """Whether connections to 127.0.0.1:`public` reach 127.0.0.1:`own`.

    Where a gateway listens on `own` already, an answer on `public` is all that can be seen from outside.
    """
    try:
        with socket.create_server(("127.0.0.1", own)) as listener:
            return _arrives(listener, public)
    except OSError:
        try:
            socket.create_connection(("127.0.0.1", public), timeout=_PATIENCE).close()
        except OSError:
            return False
        return True


def _arrives(listener: socket.socket, public: int) -> bool:
    """Whether a connection to 127.0.0.1:`public` comes out of `listener`, whatever rules stand between."""
    before = listener.gettimeout()
    try:
        with socket.create_connection(("127.0.0.1", public), timeout=_PATIENCE) as client:
            listener.settimeout(_PATIENCE)
            peer = None
            while peer != client.getsockname():  # a client that came in just now is no answer
                accepted, peer = listener.accept()
                accepted.close()
            return True
    except OSError:
        return False
    finally:
        listener.settimeout(before)


def _bind(scheme: str, port: int) -> Listening:
    sockets: list[socket.socket] = []
    try:
        for family, address in _ADDRESSES:
            try:
                one = socket.create_server((address, port), family=family, backlog=_BACKLOG)
            except OSError as error:
                if family is socket.AF_INET6 and error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                    continue  # no IPv6 on this machine
                raise
            one.setblocking(False)
            sockets.append(one)
            port = one.getsockname()[1]
    except OSError as error:
        for one in sockets:
            one.close()
        raise _refused(scheme, port, error) from error
    return Listening(scheme, port, tuple(sockets))


def _refused(scheme: str, port: int, error: OSError) -> StoresError:
    key = "[events] port" if scheme == EVENTS else f"[gateway] {scheme}"
    hint = ports.freeing(port, f"STORES_{scheme.upper()}_PORT", key)
    if error.errno == errno.EADDRINUSE:
        return StoresError(f"Port {port} is held by {ports.holder(port)}", hint)
    if error.errno in {errno.EACCES, errno.EPERM}:
        return StoresError(f"Port {port} is the system's to give, and it does not give it to you", hint)
    return StoresError(f"Port {port} cannot be bound: {error.strerror}", hint)
