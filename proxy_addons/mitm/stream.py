"""One request and its answer in mitmproxy's HTTP layer, where our decision, and nothing else, says where it goes.

Its head arrives, the addons of `chain` look at it (`requestheaders`), its upstreams are tried in turn, and where none
answers, or one breaks off before its answer began, the page does. CONNECT gets a tunnel, or an end here.

Internal classes, pinned versions: `tests/test_gateway_mitmproxy.py` says which of them moved.
"""

# mypy: disallow-untyped-calls=False
# mitmproxy is typed in parts only.
from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from mitmproxy import http
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers import tcp
from mitmproxy.proxy.layers.http import DropStream, HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import (
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpResponseHeadersHook

from proxy_addons import problem
from proxy_addons.decision import FORGEABLE, Decision, decide, decision_of
from proxy_addons.mitm.http1 import Commands, error_response, is_interim
from proxy_addons.mitm.upstream import OpenUpstream, UpstreamServer
from proxy_addons.problem import Problem

#: Keys of `flow.metadata`: the request line named a whole URL; the answer took too long; CONNECT's way.
ABSOLUTE_FORM, TIMED_OUT, TUNNEL, EXPECT = "stores.absolute", "stores.timed-out", "stores.tunnel", "stores.expect"
#: What follows an answer of ours that opens a WebSocket: its end.
FAREWELL = "stores.farewell"
#: An answer of ours that has no end, and its next piece.
TAIL, CHUNK = "stores.tail", "stores.chunk"


@dataclass(frozen=True, slots=True)
class Tunnel:
    """Where a CONNECT leads without anybody looking inside; `addresses` are tried in turn."""

    addresses: tuple[tuple[str, int], ...]


@dataclass
class FallbackHook(commands.StartHook):
    """No upstream answers this flow. An addon sets ``flow.response``."""

    flow: http.HTTPFlow


@dataclass
class TailHook(commands.StartHook):
    """The next piece of an answer of ours that has no end. An addon sets ``flow.metadata[CHUNK]``."""

    flow: http.HTTPFlow


@dataclass
class TailOverHook(commands.StartHook):
    """Nobody listens any more."""

    flow: http.HTTPFlow


class GatewayStream(HttpStream):
    """One request and its answer."""

    def state_wait_for_request_headers(self, event: RequestHeaders) -> Commands:
        """Notes what mitmproxy forgets: whether the request line named a whole URL, as for a proxy."""
        flow = http.HTTPFlow(self.context.client, self.context.server)
        flow.metadata[ABSOLUTE_FORM] = bool(event.request.host) and not event.request.is_http2
        event.replay_flow = flow
        read: Commands = super().state_wait_for_request_headers(event)
        return read

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, RequestTrailers) and FORGEABLE in self.flow.metadata:
            # a server may take a trailer for a header
            forgeable = self.flow.metadata[FORGEABLE]
            kept = [field for field in event.trailers.fields if field[0] not in forgeable]
            event = RequestTrailers(event.stream_id, http.Headers(kept))
        if isinstance(event, ResponseHeaders) and is_interim(event.response):
            yield SendHttp(event, self.context.client)
        else:
            yield from super()._handle_event(event)

    def start_request_stream(self) -> Commands:
        """Sends the head on, the body following as it comes."""
        if self.flow.response:  # an addon has answered; mitmproxy knows that only for requests that it holds back
            yield from self._answer()
        else:
            yield from super().start_request_stream()

    def make_server_connection(self) -> Generator[Any, Any, bool]:
        """Tries the decision's upstreams in turn. Without a decision there are none, and the page answers."""
        decision = decision_of(self.flow)
        failure: Problem | None = None
        for upstream in decision.upstreams if decision else ():
            host, port = upstream.address
            wanted = OpenUpstream((host, port), upstream.tls_name is not None, None)
            wanted.upstream, wanted.alternatives = upstream, decision.upstreams if decision else ()
            connection, error = yield wanted
            if connection is not None:
                self.context.server = self.flow.server_conn = connection
                if self.flow.metadata.get(EXPECT):
                    self.flow.request.headers["Expect"] = "100-continue"
                return True
            timed_out = bool(wanted.server and wanted.server.timed_out)
            remote = bool(decision and decision.remote)
            failure = problem.of_connection(str(error), remote=remote, timed_out=timed_out)
        yield from self._fall_back(failure)
        return False

    def handle_protocol_error(self, event: RequestProtocolError | ResponseProtocolError) -> Commands:
        """An upstream that broke off before its answer began: the page answers. Else mitmproxy's own way."""
        decision = decision_of(self.flow)
        unanswered = self.flow.response is None and self.client_state != self.state_errored
        if isinstance(event, ResponseProtocolError) and unanswered and decision is not None:
            timed_out = bool(self.flow.metadata.get(TIMED_OUT))
            remote = decision.remote is not None
            yield from self._fall_back(problem.of_answer(event.message, remote=remote, timed_out=timed_out))
        else:
            yield from super().handle_protocol_error(event)

    def _fall_back(self, failure: Problem | None) -> Commands:
        decision = decision_of(self.flow)
        if failure is not None and isinstance(decision, Decision):
            decide(self.flow, decision.failed(failure) if decision.route else _passed(decision, failure))
        yield FallbackHook(self.flow)
        if self.flow.response is None:
            self.flow.response = error_response(502, "The gateway could not answer.")
        yield from self._answer()

    def _answer(self) -> Commands:
        """Sends ``flow.response``, also while the request's body is still on its way."""
        assert self.flow.response is not None
        self.flow.response.timestamp_start = time.time()
        incomplete = self.client_state != self.state_done
        yield HttpResponseHeadersHook(self.flow)
        if incomplete and self.context.client.alpn != b"h2":
            self.flow.response.headers["Connection"] = "close"  # where its body ends, nobody knows yet
        yield from self.send_response()
        if incomplete and self.client_state != self.state_errored:
            self.client_state = self.state_errored
            self.flow.live = False
            yield DropStream(self.stream_id)
            yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)

    def send_response(self, already_streamed: bool = False) -> Commands:  # noqa: FBT001, FBT002 - mitmproxy's
        """Also one of ours that goes on until its client leaves (server-sent events)."""
        if FAREWELL in self.flow.metadata:
            yield from self._send_farewell(self.flow.metadata[FAREWELL])
            return
        if TAIL not in self.flow.metadata:
            yield from super().send_response(already_streamed)
            return
        yield from self._send_tail()
        self.server_state = self.state_done
        if self.client_state == self.state_done:
            yield from self.flow_done()

    def _send_farewell(self, frame: bytes) -> Commands:
        client = self.context.client
        assert self.flow.response is not None
        yield SendHttp(ResponseHeaders(self.stream_id, self.flow.response, end_stream=False), client)
        yield SendHttp(ResponseData(self.stream_id, frame), client)
        self.server_state, self.flow.live = self.state_done, False
        yield DropStream(self.stream_id)
        yield commands.CloseConnection(client)

    def _send_tail(self) -> Commands:
        client = self.context.client
        assert self.flow.response is not None
        yield SendHttp(ResponseHeaders(self.stream_id, self.flow.response, end_stream=False), client)
        while client.connected:
            self.flow.metadata[CHUNK] = b""
            yield TailHook(self.flow)
            if not self.flow.metadata[CHUNK] or not client.connected:
                break
            yield SendHttp(ResponseData(self.stream_id, self.flow.metadata[CHUNK]), client)
        yield TailOverHook(self.flow)

    def handle_connect_regular(self) -> Commands:
        """CONNECT: for a host of ours we are its end; else a tunnel, made before the client is told that it stands."""
        way = self.flow.metadata.get(TUNNEL)
        if isinstance(way, Tunnel) and self.flow.response is None:
            error: str | None = "no address"
            for address in way.addresses:
                self.context.server = UpstreamServer(address=address)
                error = yield commands.OpenConnection(self.context.server)
                if not error:
                    self.child_layer = tcp.TCPLayer(self.context, ignore=True)
                    break
            if error:
                self.flow.response = error_response(502, f"No connection to {self.flow.request.pretty_host}: {error}")
                del self.flow.response.headers["X-Stores-Route"]
        elif self.flow.response is None:
            self.child_layer = layer.NextLayer(self.context)
        yield from self.handle_connect_finish()


def _passed(decision: Decision, failure: Problem) -> Decision:
    """Foreign traffic keeps its route of None, so that its plain answer gets no header of ours."""
    return Decision(None, decision.site, problem=failure)
