"""Sends each request where it is answered: to its service, straight away, or to mitmproxy for all that needs more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from procman.routes import Route
from proxy_addons import problem
from proxy_addons.decision import Decision
from proxy_addons.decision import Upstream as Address
from proxy_addons.fallback import button
from proxy_addons.front.clock import Clock
from proxy_addons.front.connecting import Connecting
from proxy_addons.front.exchange import Asker, Request
from proxy_addons.front.grpc import Calls, is_call
from proxy_addons.front.policy import LoopError, Told
from proxy_addons.front.pool import Pool
from proxy_addons.front.upstream import Upstream
from proxy_addons.site import Site
from proxy_addons.view import Current

if TYPE_CHECKING:
    from proxy_addons.front.overhearing import Refusals
    from proxy_addons.front.slow_path import SlowPath

P = TypeVar("P", bound=asyncio.BaseProtocol)
#: The name by which it is inspected, or None.
Watched = Callable[[Decision], str | None]

#: RFC 9110, section 9.2.2: what may be sent again when nobody knows whether it arrived.
_IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"))
#: The gateway's own, on every host: the fallback page's button, script and events.
_RESERVED: Final = button.RESERVED.encode()
#: Bytes of a host with its port: DNS ends at 253 (RFC 1035, section 2.3.4). A longer one is nobody's.
_LONGEST_HOST: Final = 253 + len(".:65535")
#: Names of hosts whose way is remembered; more than a workspace has, and no flood of invented names fills the memory.
_MOST_PLACES: Final = 4096


@dataclass(frozen=True, slots=True)
class Place:
    """Where requests for one host go, and what they are told there about a client. `watched`: it is inspected."""

    pool: Pool
    addresses: tuple[Address, ...]
    told: Told
    service: str
    watched: bool


class Dispatch:
    """What askers ask (`exchange.Front`)."""

    def __init__(
        self,
        current: Current,
        slow_path: SlowPath,
        clock: Clock,
        patience: float,
        refusals: Refusals | None = None,
        watched: Watched = lambda _: None,
    ) -> None:
        """`patience`: seconds for a service's answer to begin. `watched`: by which name a request is inspected."""
        self._current = current
        self._refusals = refusals
        self._watched = watched
        self._slow_path = slow_path
        self._turns = slow_path.turns
        self._clock = clock
        self._patience = clock.ticks(patience)
        self._places: dict[tuple[bytes, bool, str], Place | None] = {}
        self._pools: dict[tuple[Address, ...], Pool] = {}
        self._calls: dict[tuple[Address, ...], Calls] = {}
        clock.ticked.append(self._ticked)

    def forget(self) -> None:
        """The view has changed: every host is looked up again with its next request."""
        self._places.clear()
        for key in [key for key, pool in self._pools.items() if pool.empty]:
            del self._pools[key]
        for key in [key for key, calls in self._calls.items() if not calls.busy]:
            self._calls.pop(key).close()

    def ask(self, request: Request, asker: Asker, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Exchange.send`
        """Has `request` answered: see `exchange`."""
        place = self._place(request)
        # gRPC goes straight in any case: mitmproxy's side speaks HTTP/1.1, which its servers do not
        watched = place is not None and place.watched and not (request.method == b"POST" and is_call(request))
        if place is None or watched or place.service in self._current.falling_asleep:
            self._slow_path.ask(request, asker, data, ended)
            return
        try:
            head = place.told.head(request)
        except LoopError:
            self._slow_path.ask(request, asker, data, ended)
            return
        place.pool.requests += 1
        self._turns.plain += 1
        if request.method == b"POST" and is_call(request):
            self._calls_to(place).ask(request, head, asker, data, ended, self._unreachable)
            return
        upstream = place.pool.take()
        if upstream is not None:
            upstream.begin(request, head, asker, data, ended)
        else:
            Connecting(request, head, asker, self._unreachable).start(self._connect(place), data, ended)

    def _place(self, request: Request) -> Place | None:
        """The service's place, or None for what mitmproxy must see."""
        host, client = request.host, request.client
        if (
            host is None
            or len(host) > _LONGEST_HOST
            or request.target[:1] != b"/"
            or request.target.startswith(_RESERVED)
        ):
            return None
        key = (host, client.tls is not None, client.peer[0])
        try:
            return self._places[key]
        except KeyError:
            if len(self._places) >= _MOST_PLACES:
                self._places.clear()
            place = self._places[key] = self._look_up(*key)
            return place

    def _look_up(self, host: bytes, secure: bool, address: str) -> Place | None:  # noqa: FBT001 - part of the key
        try:
            site = Site.of_authority("https" if secure else "http", host.decode("ascii"))
        except ValueError:
            return None
        view = self._current.view
        decision = view.decide(site)
        if not is_plain(decision) or view.moved(site) is not None:
            return None
        pool = self._pools.get(decision.upstreams)
        if pool is None:
            pool = self._pools[decision.upstreams] = Pool(self._clock, self._refusals)
        name = decision.service.name if decision.service is not None else ""
        return Place(pool, decision.upstreams, Told(address, site), name, self._watched(decision) is not None)

    def _calls_to(self, place: Place) -> Calls:
        calls = self._calls.get(place.addresses)
        if calls is None:
            calls = self._calls[place.addresses] = Calls(lambda protocol: self._reach(place, protocol))
        return calls

    async def _connect(self, place: Place) -> Upstream:
        """A new connection for requests."""
        return await self._reach(place, lambda: Upstream(place.pool, self._failed, local=True))

    @staticmethod
    async def _reach(place: Place, protocol: Callable[[], P]) -> P:
        """A new connection, to the first address that takes it."""
        loop = asyncio.get_running_loop()
        error: OSError = ConnectionError("no address")
        for upstream in place.addresses:
            try:
                async with asyncio.timeout(upstream.connect_timeout):
                    _, connection = await loop.create_connection(protocol, *upstream.address)
            except TimeoutError:
                error = TimeoutError("no connection in time")
            except OSError as e:
                error = e
            else:
                return connection
        raise error

    def _unreachable(self, request: Request, asker: Asker, error: OSError) -> None:
        timed_out = isinstance(error, TimeoutError)
        self._slow_path.ask_page(request, asker, problem.of_connection(str(error), remote=False, timed_out=timed_out))

    def _failed(self, upstream: Upstream, request: Request, asker: Asker, error: OSError) -> None:
        """No answer came on a connection. One that had grown stale may simply be replaced."""
        stale = upstream.uses > 1 and upstream.quiet and not isinstance(error, TimeoutError)
        place = self._place(request)
        if stale and request.length == 0 and request.method in _IDEMPOTENT and place is not None:
            head = place.told.head(request)
            Connecting(request, head, asker, self._unreachable).start(self._connect(place), b"", True)
            return
        if upstream.unread and self._refusals is not None:
            self._refusals.hint(request, upstream.unread)  # Next.js refuses a WebSocket with words, and no head
        timed_out = isinstance(error, TimeoutError)
        self._slow_path.ask_page(request, asker, problem.of_answer(str(error), remote=False, timed_out=timed_out))

    def use_of(self, port: int) -> tuple[int, bool]:
        """How many requests went straight to the service on a local port so far, and whether one is open."""
        pools = [pool for addresses, pool in self._pools.items() if addresses[0].address[1] == port]
        calls = [calls for addresses, calls in self._calls.items() if addresses[0].address[1] == port]
        is_open = any(pool.busy for pool in pools) or any(each.busy for each in calls)
        return sum(pool.requests for pool in pools), is_open

    def _ticked(self) -> bool:
        waiting = [upstream for pool in self._pools.values() for upstream in pool.waiting()]
        for upstream in waiting:
            if self._clock.now - upstream.asked > self._patience:
                upstream.give_up()
        return bool(waiting)

    def close(self) -> None:
        """Closes what no request is on."""
        for pool in self._pools.values():
            pool.close()
        for calls in self._calls.values():
            calls.close()


def is_plain(decision: Decision) -> bool:
    """Whether a request only passes through to a service that runs here: no addon has anything to add to it."""
    return decision.route is Route.LOCAL and decision.remote is None and bool(decision.upstreams)
