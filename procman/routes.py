"""Which service a host belongs to, and what a service's route is: the rules on which both ends agree."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from procman.service import Service
from procman.state import ANSWERING, State


class Route(enum.StrEnum):
    """What a host leads to at this moment; the value of the header ``X-Stores-Route``."""

    LOCAL = "local"
    REMOTE = "remote"
    FALLBACK = "fallback"


def route_of(state: State, *, wanted: bool, remote: bool) -> Route:
    """The route of a service from its primary process's state.

    A service that somebody started is his: while it starts, or after it crashed, its page says so, rather than the
    remote answering quietly in its place. A service that nobody started is answered by the remote, when it has one.
    """
    if state in ANSWERING:
        return Route.LOCAL
    return Route.REMOTE if remote and not wanted else Route.FALLBACK


def normalize(host: str) -> str:
    """A host as the table knows it: without port and final dot, in lower case. An IPv6 literal keeps its brackets."""
    host = host.strip().lower()
    if not host.endswith("]"):
        host = host.rsplit(":", 1)[0] if ":" in host else host
    return host.removesuffix(".")


class RouteTable:
    """Finds a host's owner: the exact name, else the nearest wildcard. A look-up costs one step per label."""

    def __init__(self, owners: Iterable[tuple[str, str]], domains: Iterable[str]) -> None:
        """`owners`: pairs of host (relative, ``*.`` for a wildcard) and service; `domains`: what they hang on."""
        self._domains = tuple(f".{domain}" for domain in domains)
        self._exact: dict[str, str] = {}
        self._wild: dict[str, str] = {}
        for host, service in owners:
            if host.startswith("*."):
                self._wild[host[2:]] = service
            else:
                self._exact[host] = service

    @classmethod
    def of(cls, services: Iterable[Service], *domains: str) -> RouteTable:
        """The table of a workspace's services under its domain (and ``localhost``, which needs no DNS)."""
        return cls(((host, service.name) for service in services for host in service.hosts), domains)

    def relative(self, host: str) -> str | None:
        """The part of a normalized host below one of the domains; None for a stranger's name."""
        for domain in self._domains:
            if host.endswith(domain):
                return host[: -len(domain)]
        return None

    def find(self, host: str) -> str | None:
        """The service that owns `host` (as a client sends it, with port or upper case), or None."""
        name = self.relative(normalize(host))
        if name is None:
            return None
        owner = self._exact.get(name)
        while owner is None and (dot := name.find(".")) >= 0:
            name = name[dot + 1 :]
            owner = self._wild.get(name)
        return owner
