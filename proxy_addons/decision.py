"""What was decided about one request: one record in ``flow.metadata``, read by every addon and the upstream layer."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from procman.api_route import ApiRoute
from procman.routes import Route
from procman.snapshot import ServiceStatus
from proxy_addons.problem import Problem
from proxy_addons.site import Site

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

_KEY = "stores.decision"
#: Keys of `flow.metadata`, for requests at the API gateway: the path as it was asked for, and the names of headers that
#: no client may set, be it in a trailer.
ASKED_PATH, FORGEABLE = "stores.asked-path", "stores.forgeable"

#: Seconds for a connection to come about. A local one is made or refused at once, but for a full backlog.
LOCAL_CONNECT, REMOTE_CONNECT = 2.0, 10.0
#: Seconds for an answer to begin. Chromium gives up after 300, and whoever sits at a breakpoint needs them; the load
#: balancers in front of a remote give up after 60 to 120.
LOCAL_ANSWER, REMOTE_ANSWER = 300.0, 120.0


@dataclass(frozen=True, slots=True)
class Upstream:
    """One place to connect to. `tls_name`: whom its certificate must be for, and the SNI; None for plain TCP.

    `proxy`: the HTTP proxy that is asked (CONNECT) to lead there.
    """

    address: tuple[str, int]
    tls_name: str | None = None
    connect_timeout: float = LOCAL_CONNECT
    proxy: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """`route` is None for foreign traffic that only passes through; `upstreams` are tried in turn; none: a page.

    `site` is what the client asked for, as it must see it again in every URL. `relative` is its host below the domain.
    `api`: the route by which it came through the API gateway, `segments` the path that it asked for there.
    """

    route: Route | None
    site: Site
    service: ServiceStatus | None = None
    relative: str = ""
    upstreams: tuple[Upstream, ...] = ()
    remote: Site | None = None
    problem: Problem | None = None
    api: ApiRoute | None = None
    segments: tuple[str, ...] = ()

    @property
    def answer_timeout(self) -> float:
        """Seconds for the answer to begin, once the request is complete."""
        return REMOTE_ANSWER if self.remote else LOCAL_ANSWER

    def failed(self, problem: Problem) -> Decision:
        """The same request, answered by a page about `problem`."""
        return dataclasses.replace(self, route=Route.FALLBACK, upstreams=(), problem=problem)

    def answered(self, route: Route) -> Decision:
        """The same request, answered by the gateway itself."""
        return dataclasses.replace(self, route=route, upstreams=(), remote=None, problem=None)


def decision_of(flow: HTTPFlow) -> Decision | None:
    """What was decided, or None when nothing was: such a request is never sent anywhere."""
    found = flow.metadata.get(_KEY)
    return found if isinstance(found, Decision) else None


def decide(flow: HTTPFlow, decision: Decision) -> None:
    """Notes a decision; a later one replaces it."""
    flow.metadata[_KEY] = decision
