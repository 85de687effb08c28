"""Which local host stands for which remote one, and the other way round: for the workspace's own hosts alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from procman.snapshot import ServiceStatus, Snapshot
from proxy_addons.api_gateway.routes import HOST as API_GATEWAY
from proxy_addons.site import Site


@dataclass(frozen=True, slots=True)
class _Pair:
    """A service's remote origin and the local host (relative) that it answers under here.

    `wild`: every name below the local host stands for the same name below the remote one.
    """

    local: str
    remote: Site
    wild: bool


class Names:
    """Both directions of the pairs of a workspace. Looked up per header, so a handful of steps each."""

    def __init__(self, pairs: Iterable[_Pair], remote_domain: str) -> None:
        self.remote_domain = remote_domain
        self._by_local: dict[str, _Pair] = {}
        self._by_remote: dict[tuple[str, int], _Pair] = {}
        for pair in pairs:
            self._by_local.setdefault(pair.local, pair)
            self._by_remote.setdefault((pair.remote.host, pair.remote.port), pair)

    @classmethod
    def of(cls, snapshot: Snapshot) -> Names:
        """The pairs of all services that have a remote, whether they run here or not, and of the API gateway."""
        pairs = [pair for service in snapshot.services for pair in _pairs(service, snapshot.remote.domain)]
        gateway = snapshot.authorizer.remote_for(snapshot.remote.domain)
        if gateway:
            pairs.append(_Pair(API_GATEWAY, Site.parse(gateway), wild=False))
        return cls(pairs, snapshot.remote.domain)

    def remote(self, relative: str) -> Site | None:
        """The remote origin of a local host that is relative to the domain."""
        for below, pair in _steps(relative, self._by_local.get):
            if not below or pair.wild:
                return Site(pair.remote.scheme, below + pair.remote.host, pair.remote.port)
        return None

    def local(self, host: str, port: int | None) -> str | None:
        """The local host, relative to the domain, of a remote one; None for a third party's. No port: any."""
        for below, pair in _steps(host, lambda name: self._of_host(name, port)):
            if not below or pair.wild:
                return below + pair.local
        return None

    def _of_host(self, host: str, port: int | None) -> _Pair | None:
        if port is not None:
            return self._by_remote.get((host, port))
        return next((pair for (name, _), pair in self._by_remote.items() if name == host), None)


def _pairs(service: ServiceStatus, remote_domain: str) -> list[_Pair]:
    if not service.remote:
        return []
    try:
        origin = Site.parse(service.remote)
    except ValueError:
        return []
    exact = [host for host in service.hosts if not host.startswith("*.")]
    if not exact:
        return []
    primary = exact[0]
    pairs = [_Pair(primary, origin, f"*.{primary}" in service.hosts)]
    for alias in exact[1:]:
        # Where the remote keeps the workspace's names, an alias has its own name there; elsewhere there is only one.
        own = remote_domain and origin.host == f"{primary}.{remote_domain}"
        remote = Site(origin.scheme, f"{alias}.{remote_domain}", origin.port) if own else origin
        pairs.append(_Pair(alias, remote, f"*.{alias}" in service.hosts))
    return pairs


def _steps(name: str, find: Callable[[str], _Pair | None]) -> Iterator[tuple[str, _Pair]]:
    """The pairs of `name` and of each name above it, with the part (``tokyo.``) that lies below the pair's."""
    at = 0
    while True:
        if (pair := find(name[at:])) is not None:
            yield name[:at], pair
        dot = name.find(".", at)
        if dot < 0:
            return
        at = dot + 1
