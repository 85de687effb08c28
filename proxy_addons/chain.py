"""The life of a request: the addons in the order in which they see it.

``requestheaders`` goes down this list when a request's head is there, before a connection is chosen;
``responseheaders`` goes down it when an answer's head is there. Bodies stream past. docs/gateway.md tells it in prose.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy_addons.api_gateway.authorizer import Authorizer
from proxy_addons.api_gateway.choice_file import ChoiceFile
from proxy_addons.api_gateway.routing import ApiRouting, RoutePath
from proxy_addons.by_hand import ByHand
from proxy_addons.dashboard.onlooker import Onlooker
from proxy_addons.fail_closed import fail_closed
from proxy_addons.fallback_page import FallbackPage
from proxy_addons.forwarded import Forwarded
from proxy_addons.hop_by_hop import HopByHop
from proxy_addons.host_routing import HostRouting
from proxy_addons.https_only import HttpsOnly
from proxy_addons.inspection.inspection import Inspection
from proxy_addons.inspection.steps import Arrival, Departure
from proxy_addons.issuer.issuer import Issuer
from proxy_addons.issuer_site import IssuerSite
from proxy_addons.loop_guard import LoopGuard
from proxy_addons.patience import Patience
from proxy_addons.proxy_pac import ProxyPac
from proxy_addons.remote.body_rewriting import BodyRewriting
from proxy_addons.remote.credentials import RemoteCredentials
from proxy_addons.remote.fallthrough import RemoteFallthrough
from proxy_addons.remote.guard import RemoteGuard
from proxy_addons.reserved_path import ReservedPath
from proxy_addons.route_header import RouteHeader
from proxy_addons.sleep.idleness import Idleness
from proxy_addons.sleep.starts import Starts
from proxy_addons.sleep.waking import Waking
from proxy_addons.streaming import Passing, Streaming
from proxy_addons.supervisor import Supervisor
from proxy_addons.tunnel_traffic import TunnelTraffic
from proxy_addons.verdict import Verdict, Verdicts
from proxy_addons.view import Current

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow


def chain(
    current: Current,
    supervisor: Supervisor,
    verdicts: Verdicts,
    idleness: Idleness,
    issuer: Issuer,
    state: Path,
    give_up: Callable[[HTTPFlow], None],
    onlooker: Onlooker,
    inspection: Inspection,
    answer_timeout: float | None = None,
) -> list[Any]:
    """The list. A crash in any of them answers the request instead of letting it pass; but not in the inspection."""
    starts = Starts(supervisor)
    choices = ChoiceFile(state / "authorizer.json")
    return [
        addon if isinstance(addon, (Arrival, Departure)) else fail_closed(addon)
        for addon in (
            Streaming(),  # bodies pass as they come
            HostRouting(current),  # local, remote, page, or a stranger's that passes through
            ApiRouting(current),  # at the API gateway: by the path
            TunnelTraffic(onlooker),  # noted for who looks, where the front sees only a tunnel
            Verdict(verdicts),  # unless the front has found already that its service does not answer
            Arrival(inspection),  # copied as it came, where somebody inspects its host
            ProxyPac(current),  # asked of the gateway itself, by browsers
            LoopGuard(),  # what comes round for ever ends here
            ReservedPath(current, supervisor, starts),  # the page's own button, script and events
            HttpsOnly(current),  # plain HTTP is sent to HTTPS, where the workspace wants that
            ByHand(current, supervisor, time.monotonic),  # somebody may have started it in an IDE
            IssuerSite(current, issuer),  # tokens, and who to be
            Authorizer(current, issuer, choices),  # who calls the API gateway, and may he? Else nothing starts
            RoutePath(),  # whose service sees the path that it knows
            Waking(current, starts),  # a service that sleeps is woken, and the request held meanwhile
            idleness,  # what was asked for is in use
            HopByHop(),  # what concerns one connection only stays on it
            Forwarded(),  # who asked, and for what: for local services
            RemoteGuard(current),  # production, and writes where none are allowed: refused
            RemoteCredentials(current, time.monotonic),  # what opens the remote's gate
            RemoteFallthrough(current),  # its names are translated, out and back
            BodyRewriting(give_up),  # in bodies too, where a service asks for it
            Patience(give_up, answer_timeout),  # nobody waits for ever
            FallbackPage(current, supervisor),  # asked when no upstream answers
            RouteHeader(),  # says which way it came
            Departure(inspection),  # copied as it goes
            Passing(),  # messages, when all have seen them
        )
    ]
