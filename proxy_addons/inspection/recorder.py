"""Fills the store: what the steps of the chain tell it of each request. Loaded when the first host is inspected."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from mitmproxy import ctx
from mitmproxy.addons.export import Export
from mitmproxy.connection import Client
from mitmproxy.http import HTTPFlow
from mitmproxy.websocket import WebSocketData

from proxy_addons.decision import decision_of
from proxy_addons.inspection.body import Body, Stream, teed
from proxy_addons.inspection.masked import fields
from proxy_addons.inspection.record import Record, Sent
from proxy_addons.inspection.store import Store

if TYPE_CHECKING:
    from mitmproxy.http import Response

    from proxy_addons.decision import Decision
    from proxy_addons.inspection.watched import Watched

#: In `flow.metadata`: the request's record.
KEY: Final = "stores.record"
#: Says that a request is one that is sent again: with a word that nobody can know but we, and that is good once.
REPLAY: Final = "X-Stores-Replay"


class Recorder:
    """A request is copied as it came from its client, an answer as it goes to him: so both can be sent again."""

    def __init__(self, watched: Watched, store: Store) -> None:
        self._watched = watched
        self.store = store
        self._replays: dict[str, tuple[str, list[str]]] = {}
        addons: Any = ctx.master.addons  # mitmproxy is typed in parts only
        if addons.get("export") is None:  # its functions ask for its options
            addons.add(Export())

    def expect_replay(self, number: str) -> tuple[str, list[str]]:
        """A word for `REPLAY`, and a list that will hold the new record's number."""
        word = secrets.token_hex(16)
        self._replays[word] = (number, [])
        return word, self._replays[word][1]

    def forget_replay(self, word: str) -> None:
        """It never came."""
        self._replays.pop(word, None)

    def begin(self, flow: HTTPFlow, decision: Decision) -> None:
        """A request's head has come. Nothing has changed it yet but what decided where it goes."""
        original, heard = self._replays.pop(flow.request.headers.pop(REPLAY, ""), ("", []))
        target = self._watched.name_for(decision)
        if target is None and not original:
            return
        copy = HTTPFlow(_client(flow.client_conn), flow.server_conn)
        copy.request = flow.request.copy()
        copy.request.stream = False
        copy.request.data.content = b""
        site = decision.site
        copy.request.data.scheme, copy.request.data.host = site.scheme.encode(), site.host
        copy.request.data.port = site.port
        service = decision.service.name if decision.service is not None else ""
        record = Record(copy, target or service or decision.relative, service, "", replay_of=original)
        if original:
            copy.is_replay = "request"
        flow.metadata[KEY] = record
        self.store.add(record)
        heard.append(copy.id)

    def passes(self, flow: HTTPFlow) -> None:
        """Its head goes on, as the addons have made it; its body follows."""
        record = record_of(flow)
        decision = decision_of(flow)
        if record is None or decision is None:
            return
        if decision.upstreams and flow.response is None:
            host, port = decision.upstreams[0].address
            to = str(decision.remote) if decision.remote else f"http://{host}:{port}"
            record.sent = Sent(to, fields(flow.request.headers))
        record.route = str(decision.route or "")
        flow.request.stream = self._tee(record, record.request_body, flow.request.stream)
        self.store.changed(record)

    def asked(self, flow: HTTPFlow, record: Record) -> None:
        """The request is complete."""
        ours = record.flow.request
        ours.timestamp_end = flow.request.timestamp_end
        ours.trailers = flow.request.trailers.copy() if flow.request.trailers else None
        if not record.request_body.total and flow.request.raw_content:
            record.request_body.take(flow.request.raw_content)
        record.end_request()
        self.store.changed(record)

    def answers(self, flow: HTTPFlow, record: Record, response: Response) -> None:
        """An answer's head goes to the client; its body follows, or is here already."""
        body = response.data.content
        response.data.content = None
        ours = response.copy()
        response.data.content = body
        ours.stream = False
        ours.data.content = b""
        record.flow.response, record.flow.server_conn = ours, flow.server_conn
        decision = decision_of(flow)
        record.route = str(decision.route or "") if decision is not None else record.route
        events = ours.headers.get("content-type", "").lower().startswith("text/event-stream")
        newest = events and "content-encoding" not in ours.headers
        record.response_body.let_go()
        record.response_body = Body(newest=newest)
        if body is not None:
            record.response_body.take(body)
        elif response.stream:
            response.stream = self._tee(record, record.response_body, response.stream)
        self.store.changed(record)

    def ended(self, flow: HTTPFlow, record: Record) -> None:
        """The answer is complete, or has become a WebSocket."""
        ours = record.flow.response
        if flow.response is None or ours is None:
            return
        ours.timestamp_end = flow.response.timestamp_end
        ours.trailers = flow.response.trailers.copy() if flow.response.trailers else None
        if flow.websocket is not None:
            record.flow.websocket = WebSocketData()
        else:
            if ours.status_code == 101:  # noqa: PLR2004 - RFC 9110, section 15.2.2
                record.notes.append("What follows is another protocol, and is not looked into")
            record.end()
        self.store.changed(record)

    def says(self, flow: HTTPFlow, record: Record) -> None:
        """A WebSocket's message."""
        if flow.websocket is not None and flow.websocket.messages and record.flow.websocket is not None:
            record.add_message(flow.websocket.messages[-1])
            self.store.changed(record)

    def closes(self, flow: HTTPFlow, record: Record) -> None:
        """A WebSocket is over."""
        ours, theirs = record.flow.websocket, flow.websocket
        if ours is not None and theirs is not None:
            ours.closed_by_client, ours.timestamp_end = theirs.closed_by_client, theirs.timestamp_end
            ours.close_code, ours.close_reason = theirs.close_code, theirs.close_reason
        record.end()
        self.store.changed(record)

    def breaks(self, flow: HTTPFlow, record: Record) -> None:
        """It came to no good end."""
        record.flow.error = flow.error
        record.end()
        self.store.changed(record)

    def _tee(self, record: Record, body: Body, stream: Stream | bool) -> Stream:  # noqa: FBT001 - mitmproxy's own kind of value
        body.on_more = lambda size: self.store.more(record, size)
        return teed(stream, body)


def record_of(flow: HTTPFlow) -> Record | None:
    """The record of a request that is inspected."""
    found = flow.metadata.get(KEY)
    return found if isinstance(found, Record) else None


def _client(known: Client) -> Client:
    """As it is now: the same object introduces the next client, too (`front.slow_path`)."""
    client = Client(peername=known.peername, sockname=known.sockname, timestamp_start=known.timestamp_start)
    client.tls, client.tls_version, client.sni = known.tls, known.tls_version, known.sni
    client.cipher, client.alpn = known.cipher, known.alpn
    return client
