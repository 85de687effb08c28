"""Mitmproxy's HTTP/1 (and the server end of its HTTP/2), subclassed where it falls short of what a gateway must do.

Internal classes, pinned versions: `tests/test_gateway_mitmproxy.py` says which of them moved. What is added here:
interim answers (100, 103) pass instead of being taken for the final one; trailers pass instead of hanging the request;
a head, a chunk's line and trailers without an end are broken off;
the messages that addons change are copies, so that framing and keep-alive follow what really came over the wire; errors
that mitmproxy answers by itself have our header and not its page.
"""

# mypy: disallow-untyped-calls=False
# mitmproxy is typed in parts only.
from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any

import h11
from mitmproxy import http
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import _http1, _http2
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    RequestHeaders,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    ResponseTrailers,
)

from proxy_addons.front.heads import LONGEST_HEAD
from proxy_addons.route_header import HEADER

Commands = layer.CommandGenerator[None]

_LAST_CHUNK = b"0\r\n\r\n"
_STATUS_AT, _STATUS_LENGTH = len(b"HTTP/1.1 "), 3


def is_interim(response: http.Response) -> bool:
    """1xx but not 101, after which no other answer comes."""
    return response.status_code < HTTPStatus.OK and response.status_code != HTTPStatus.SWITCHING_PROTOCOLS


def error_response(status: int, message: str) -> http.Response:
    """What answers a message that is no proper HTTP. For a program's eyes: no browser sends such a thing."""
    headers = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store", HEADER: "fallback"}
    return http.Response.make(status, f"{message}\n".encode(), headers)


def status_of(error: ResponseProtocolError) -> int | None:
    """The status that mitmproxy would answer with; None for "only close". 11.x has numbers, 12.x an enum."""
    code: Any = error.code
    if isinstance(code, int):
        return code if code in set(HTTPStatus) else None
    status: int | None = code.http_status_code()
    return status


def as_http1(request: http.Request) -> http.Request:
    """An HTTP/2 request in the words of HTTP/1.1.

    mitmproxy can do this too, but closes the connection after a request that it did it for.
    """
    request = request.copy()
    request.http_version = "HTTP/1.1"
    if "host" not in request.headers:
        request.headers.insert(0, "Host", request.authority)
    request.authority = ""
    cookies = request.headers.get_all("cookie")
    if len(cookies) > 1:  # RFC 9113, section 8.2.3: joined for HTTP/1.1, where there must be one field only
        request.headers["Cookie"] = "; ".join(cookies)
    return request


class _BodyReader:
    """One of h11's body readers, with the trailers put aside: mitmproxy raises NotImplementedError at them."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self.trailers: http.Headers | None = None

    def __call__(self, buffer: Any) -> Any:
        event = self._without_trailers(self._reader(buffer))
        if event is None and len(buffer) > LONGEST_HEAD:  # of a body, nothing waits for its end but such lines
            raise h11.RemoteProtocolError("a line among the chunks has no end")
        return event

    def read_eof(self) -> Any:
        return self._without_trailers(self._reader.read_eof())

    def _without_trailers(self, event: Any) -> Any:
        if isinstance(event, h11.EndOfMessage) and event.headers:
            self.trailers = http.Headers(list(event.headers.raw_items()))
            return h11.EndOfMessage()
        return event


class _Trailers(_http1.Http1Connection):
    """Reads and writes trailers."""

    _reader: _BodyReader | None = None
    _outgoing: http.Headers | None = None
    _TrailersEvent: type[RequestTrailers | ResponseTrailers]

    @property
    def body_reader(self) -> Any:
        """What mitmproxy sets after each head; h11's, made fit for trailers."""
        return self._reader

    @body_reader.setter
    def body_reader(self, reader: Any) -> None:
        self._reader = _BodyReader(reader)

    def read_body(self, event: events.Event) -> Commands:
        """Puts the trailers before the end of the message."""
        stream_id = self.stream_id
        for command in super().read_body(event):
            done = isinstance(command, ReceiveHttp) and isinstance(command.event, self.ReceiveEndOfMessage)
            if done and self._reader is not None and self._reader.trailers is not None and stream_id is not None:
                yield ReceiveHttp(self._TrailersEvent(stream_id, self._reader.trailers))
            yield command

    def send(self, event: Any) -> Commands:
        """Puts trailers aside until the last chunk, behind which they stand."""
        if isinstance(event, (RequestTrailers, ResponseTrailers)):
            self._outgoing = event.trailers
            return
        for command in super().send(event):
            if self._outgoing and isinstance(command, commands.SendData) and command.data == _LAST_CHUNK:
                yield commands.SendData(command.connection, b"0\r\n" + bytes(self._outgoing) + b"\r\n")
            else:
                yield command
        if isinstance(event, ResponseEndOfMessage):
            self._outgoing = None


class ClientHttp1(_Trailers, _http1.Http1Server):
    """The end that clients talk to."""

    _TrailersEvent = RequestTrailers

    def send(self, event: Any) -> Commands:
        """Also interim answers, and errors without mitmproxy's page."""
        if isinstance(event, ResponseHeaders) and is_interim(event.response):
            if self.request is not None and self.request.http_version != "HTTP/1.0":
                yield commands.SendData(self.conn, http1.assemble_response_head(event.response))
        elif isinstance(event, ResponseProtocolError) and not self.response and status_of(event):
            yield commands.SendData(self.conn, self._error(status_of(event) or 0, event.message))
            yield commands.CloseConnection(self.conn)
        else:
            if (
                isinstance(event, ResponseHeaders)
                and self.request is not None
                and self.request.http_version == "HTTP/1.0"
            ):
                event.response.headers.pop("transfer-encoding", None)  # RFC 9112, section 6.1: the end is the close
            yield from super().send(event)

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        """Keeps the request as it came for itself, and gives the addons a copy."""
        for command in super().read_headers(event):
            if isinstance(command, commands.SendData):  # its own page about a malformed request
                yield commands.SendData(self.conn, self._error(400, "This is no proper HTTP request."))
                continue
            if isinstance(command, ReceiveHttp) and isinstance(command.event, RequestHeaders):
                command.event.request = command.event.request.copy()
            yield command

    @staticmethod
    def _error(status: int, message: str) -> bytes:
        response = error_response(status, message)
        response.headers["Connection"] = "close"
        head_and_body: bytes = http1.assemble_response(response)
        return head_and_body


class ClientHttp2(_http2.Http2Server):
    """The end that browsers talk to over TLS."""

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, ResponseProtocolError) and self._unanswered(event.stream_id) and status_of(event):
            response = error_response(status_of(event) or 0, event.message)
            yield from super()._handle_event(ResponseHeaders(event.stream_id, response, end_stream=False))
            yield from super()._handle_event(ResponseData(event.stream_id, response.raw_content or b""))
            yield from super()._handle_event(ResponseEndOfMessage(event.stream_id))
        elif isinstance(event, ResponseTrailers):
            # RFC 9113, section 8.2: names are in lower case. mitmproxy sees to that for headers only.
            fields = http.Headers([(name.lower(), value) for name, value in event.trailers.fields])
            yield from super()._handle_event(ResponseTrailers(event.stream_id, fields))
        else:
            yield from super()._handle_event(event)

    def _unanswered(self, stream_id: int) -> bool:
        stream = self.h2_conn.streams.get(stream_id)
        return stream is not None and self.is_open_for_us(stream_id) and not stream.state_machine.headers_sent


class UpstreamHttp1(_Trailers, _http1.Http1Client):
    """The end that talks to a service or a remote."""

    _TrailersEvent = ResponseTrailers
    #: When it became free for the next request (`time.monotonic`), or None while one is on it or before the first.
    free_since: float | None = None

    def send(self, event: Any) -> Commands:
        """Everything leaves as HTTP/1.1."""
        if isinstance(event, RequestHeaders) and event.request.is_http2:
            event = RequestHeaders(event.stream_id, as_http1(event.request), event.end_stream)
        yield from super().send(event)

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        """Hands interim answers on; keeps the final one as it came for itself, and gives the addons a copy."""
        if isinstance(event, events.DataReceived) and self.request:
            yield from self._read_interim()
        for command in super().read_headers(event):
            if isinstance(command, ReceiveHttp) and isinstance(command.event, ResponseHeaders):
                command.event.response = command.event.response.copy()
            yield command
        if self.state == self.read_headers and self.stream_id is not None and len(self.buf) > LONGEST_HEAD:
            yield commands.CloseConnection(self.conn)
            why, code = "the answer's head is too long", ResponseProtocolError.code
            yield ReceiveHttp(ResponseProtocolError(self.stream_id, why, code))

    def _read_interim(self) -> Commands:
        while True:
            status = bytes(self.buf)[_STATUS_AT : _STATUS_AT + _STATUS_LENGTH]
            if not status.startswith(b"1") or status == b"101" or self.stream_id is None:
                return
            lines = self.buf.maybe_extract_lines()
            if lines is None:
                return
            response = http1.read_response_head([bytes(line) for line in lines])
            yield ReceiveHttp(ResponseHeaders(self.stream_id, response, end_stream=False))

    def mark_done(self, *, request: bool = False, response: bool = False) -> Commands:
        """Notes since when the next request may have it."""
        yield from super().mark_done(request=request, response=response)
        if self.state == self.read_headers and self.stream_id is None:
            self.free_since = time.monotonic()
