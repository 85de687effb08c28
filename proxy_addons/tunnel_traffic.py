"""Requests inside a CONNECT tunnel to ourselves: the front sees only the tunnel, so they are noted here for who looks.

Services call each other in this way where the system does not know the domain (`HTTPS_PROXY`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy_addons.decision import decision_of
from proxy_addons.front.client import Client, Tls
from proxy_addons.front.exchange import Request
from proxy_addons.mitm.stream import TUNNEL

if TYPE_CHECKING:
    from mitmproxy import connection
    from mitmproxy.http import HTTPFlow

    from proxy_addons.dashboard.onlooker import Onlooker

_TRACE: Final = "traceparent"
_ENTRY: Final = "stores.entry"


class TunnelTraffic:
    """After the routing, which says whether a tunnel leads here. Notes nothing while nobody looks."""

    def __init__(self, onlooker: Onlooker) -> None:
        self._onlooker = onlooker
        self._clients: dict[str, Client] = {}

    def http_connect(self, flow: HTTPFlow) -> None:
        """A tunnel begins; it leads here where no other way was noted."""
        peer, local = flow.client_conn.peername, flow.client_conn.sockname
        if flow.metadata.get(TUNNEL) is None and peer is not None:
            self._clients[flow.client_conn.id] = Client(
                (peer[0], peer[1]), (local[0], local[1]), Tls("", "", None, None)
            )

    def client_disconnected(self, client: connection.Client) -> None:
        """It is over."""
        self._clients.pop(client.id, None)

    def requestheaders(self, flow: HTTPFlow) -> None:
        """A request in a tunnel: before it is sent anywhere, as it may be given a trace."""
        client, decision, recorder = self._clients.get(flow.client_conn.id), decision_of(flow), self._onlooker.recorder
        if recorder is None or client is None or decision is None:
            return
        message = flow.request
        fields = list(message.headers.fields)
        request = Request(
            client, message.method.encode(), message.path.encode(), fields, decision.site.authority.encode()
        )
        entry = recorder.begin(request)
        if entry is not None:
            flow.metadata[_ENTRY] = recorder, entry
            if len(request.fields) > len(message.headers.fields):
                message.headers[_TRACE] = request.fields[-1][1].decode()

    def responseheaders(self, flow: HTTPFlow) -> None:
        """Its answer begins."""
        recorder, entry = flow.metadata.get(_ENTRY, (None, None))
        if entry is not None and flow.response is not None:
            decision = decision_of(flow)  # as it became: the chain's end is the one that says it to the client
            entry.first, entry.status = recorder.now(), flow.response.status_code
            entry.route = str((decision.route if decision else None) or "")
            length = flow.response.headers.get("content-length", "")
            entry.received = int(length) if length.isdecimal() else 0

    def response(self, flow: HTTPFlow) -> None:
        """Its answer is complete. A WebSocket is shown as the request that opened it."""
        self._end(flow, "")

    def error(self, flow: HTTPFlow) -> None:
        """It broke off, or its client left."""
        self._end(flow, "the answer broke off")

    @staticmethod
    def _end(flow: HTTPFlow, error: str) -> None:
        recorder, entry = flow.metadata.pop(_ENTRY, (None, None))
        if entry is not None:
            entry.error = error
            recorder.end(entry)
