"""What the gateway knows: the supervisor's last word, and what is worked out from it once instead of per request."""

from __future__ import annotations

import asyncio
import dataclasses
import difflib

from procman.authorizer_settings import ISSUER_HOST
from procman.routes import Route, RouteTable
from procman.settings import ConnectTo
from procman.snapshot import ServiceStatus, Snapshot
from proxy_addons import problem
from proxy_addons.api_gateway.routes import HOST as API_GATEWAY
from proxy_addons.api_gateway.routes import ApiRoutes
from proxy_addons.decision import REMOTE_CONNECT, Decision, Upstream
from proxy_addons.problem import Code, Problem
from proxy_addons.remote.names import Names
from proxy_addons.site import Site

#: Needs no DNS: browsers and curl resolve every name below it to this machine (RFC 6761, section 6.3).
LOCALHOST = "localhost"
#: Both, in turn: half of the frameworks bind one of them only, and not all the same one.
LOOPBACK = ("127.0.0.1", "::1")
#: The event broker's host. It listens on a port of its own, so it is one more local upstream.
EVENTS = "events"
_OWN_NAMES = frozenset({LOCALHOST, "127.0.0.1", "[::1]"})
_NEAREST = 5


class View:
    """One snapshot with its routes. Never changed: the next snapshot makes the next view."""

    def __init__(self, snapshot: Snapshot, ports: frozenset[int] = frozenset()) -> None:
        """`ports`: those on which this process listens, beside the ones that the snapshot tells."""
        self.snapshot = snapshot
        self.domains = (snapshot.domain, LOCALHOST)
        self.ports = ports | {80, 443, snapshot.gateway.http, snapshot.gateway.https}
        self.names = Names.of(snapshot)
        self.api_routes = ApiRoutes(snapshot.services)
        self.services = {service.name: service for service in snapshot.services}
        proxy = Site.parse(snapshot.remote.proxy) if snapshot.remote.proxy else None
        self._proxy = (proxy.host.strip("[]"), proxy.port) if proxy else None
        self._rules = tuple(map(ConnectTo.parse, snapshot.remote.connect_to))
        owners = ((host, service.name) for service in snapshot.services for host in service.hosts)
        self._table = RouteTable(owners, self.domains)

    def relative(self, host: str) -> str | None:
        """The part of a host below the domain or ``localhost``; None for a stranger's."""
        return self._table.relative(host)

    def domain_of(self, host: str) -> str:
        """The one of our domains that `host` is below."""
        return next((domain for domain in self.domains if host.endswith(f".{domain}")), self.snapshot.domain)

    def ours(self, host: str) -> bool:
        """Whether a request for `host` is for the workspace to answer, be it with a page."""
        return self.relative(host) is not None or host == self.snapshot.domain

    def itself(self, site: Site) -> bool:
        """Whether `site` is this gateway by the machine's own name, and no service."""
        return site.host in _OWN_NAMES and site.port in self.ports

    def moved(self, site: Site) -> Site | None:
        """Where a request for `site` is sent, if plain HTTP is not wanted there.

        Below ``localhost`` it is: that is the way without trust in our CA, and browsers take it for safe as it is.
        """
        gateway = self.snapshot.gateway
        domain = self.snapshot.domain
        if not gateway.redirect or site.scheme != "http" or not gateway.https:
            return None
        below = site.host == domain or site.host.endswith(f".{domain}")
        return Site("https", site.host, gateway.https) if below else None

    def decide(self, site: Site) -> Decision:
        """Where a request for `site` goes, at this moment."""
        relative = self.relative(site.host)
        if relative == EVENTS and self.snapshot.events.port:
            addresses = tuple(Upstream((address, self.snapshot.events.port)) for address in LOOPBACK)
            return Decision(Route.LOCAL, site, relative=relative, upstreams=addresses)
        if relative == API_GATEWAY:
            # which service it means is in its path
            return Decision(Route.FALLBACK, site, relative=relative, problem=Problem(Code.NO_ROUTE))
        if relative == ISSUER_HOST:
            return Decision(Route.LOCAL, site, relative=relative)  # answered by `issuer_site`
        name = self._table.find(site.host)
        if relative is None or name is None:
            own = self.ours(site.host) or site.host in _OWN_NAMES
            code = Code.UNKNOWN_HOST if own else Code.NOT_OURS
            return Decision(Route.FALLBACK, site, relative=relative or "", problem=Problem(code))
        return self._of_service(self.services[name], site, relative)

    def decide_api(self, site: Site, segments: tuple[str, ...]) -> Decision:
        """Where a request at the API gateway goes, by its path's segments."""
        service, settings = self.api_routes.find(segments), self.snapshot.authorizer
        here = service is not None and service.route is not Route.REMOTE
        nobody = Decision(Route.FALLBACK, site, relative=API_GATEWAY, segments=segments)
        if settings.mode == "remote" or (settings.mode == "mixed" and not here):
            remote = Site.parse(settings.remote_for(self.snapshot.remote.domain))
            way = (self._to_remote(remote),)
            return dataclasses.replace(nobody, route=Route.REMOTE, service=service, upstreams=way, remote=remote)
        if service is None:
            known = self.api_routes.prefixes
            detail = f"registered are {', '.join(known)}" if known else "no service has a route"
            return nobody.failed(Problem(Code.NO_ROUTE, detail, known=known))
        decision = self._of_service(service, site, _own_host(service))
        return dataclasses.replace(decision, relative=API_GATEWAY, api=service.api, segments=segments)

    def again(self, decision: Decision) -> Decision:
        """What is decided now about a request that was decided about before, as its service has changed since."""
        if decision.relative != API_GATEWAY:
            return self.decide(decision.site)
        now = self.decide_api(decision.site, decision.segments)
        if decision.api is None or (now.api, _name(now)) == (decision.api, _name(decision)):
            return now
        # the authorizer has allowed another service's route, and has told that one who calls
        changed = Problem(Code.NO_ROUTE, "the route has changed while the request waited: ask again")
        return dataclasses.replace(now, service=None, api=None, remote=None).failed(changed)

    def _of_service(self, service: ServiceStatus, site: Site, relative: str) -> Decision:
        base = Decision(service.route, site, service, relative)
        if service.route is Route.LOCAL and service.port:
            return _with(base, tuple(Upstream((address, service.port)) for address in LOOPBACK))
        remote = self.remote_of(service, relative) if service.route is Route.REMOTE else None
        if remote is not None:
            return _with(base, (self._to_remote(remote),), remote)
        return base.failed(problem.of_state(service))

    def remote_of(self, service: ServiceStatus, relative: str) -> Site | None:
        """The remote origin for a host of `service`: its own, with the part in front that a wildcard stood for."""
        if not service.remote:
            return None
        return self.names.remote(relative) or Site.parse(service.remote)

    def _to_remote(self, remote: Site) -> Upstream:
        rules = (rule.target(remote.host, remote.port) for rule in self._rules)
        address = next((target for target in rules if target is not None), (remote.host, remote.port))
        return Upstream(
            (address[0].strip("[]"), address[1]),
            remote.host if remote.scheme == "https" else None,
            REMOTE_CONNECT,
            self._proxy,
        )

    def nearest(self, relative: str) -> list[ServiceStatus]:
        """The services whose names are most like the one that was asked for, the best first."""
        label = relative.rpartition(".")[2] or relative
        return [self.services[name] for name in difflib.get_close_matches(label, self.services, _NEAREST, 0.5)]

    def url(self, service: ServiceStatus, site: Site) -> str:
        """A service's address, in the scheme, domain and port that the client uses."""
        host = _own_host(service)
        domain = self.domain_of(site.host) if site.host not in _OWN_NAMES else LOCALHOST
        return str(Site(site.scheme, f"{host}.{domain}", site.port))


def _name(decision: Decision) -> str:
    return decision.service.name if decision.service else ""


def _own_host(service: ServiceStatus) -> str:
    return next((host for host in service.hosts if not host.startswith("*.")), service.name)


def _with(base: Decision, upstreams: tuple[Upstream, ...], remote: Site | None = None) -> Decision:
    return Decision(base.route, base.site, base.service, base.relative, upstreams, remote)


class Current:
    """Holds the newest view for the addons, which live longer than any of them."""

    view: View

    def __init__(self) -> None:
        #: Services that are just being put to sleep: who asks for one waits until it is known what became of it.
        self.falling_asleep: set[str] = set()
        self._next: asyncio.Future[None] | None = None

    def tell(self, view: View) -> None:
        """The newest from now on; whoever waits for it goes on, in the order in which they came."""
        self.view = view
        told, self._next = self._next, None
        if told is not None:
            told.set_result(None)

    async def next(self) -> None:
        """Returns when there is a newer view. Take what is wanted of this one before, with no await between."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._next)

    def stir(self) -> None:
        """Has who waits look again, at the same view."""
        self.tell(self.view)

    def service(self, name: str) -> ServiceStatus | None:
        """What the newest view says of a service."""
        return self.view.services.get(name)
