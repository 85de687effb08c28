"""One stream as an asker: an HTTP/2 request in the words of `exchange`, and its answer back (RFC 9113, section 8)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from proxy_addons.front.client import Client
from proxy_addons.front.exchange import CHUNKED, Exchange, Field, Front, Request, Response
from proxy_addons.front.h2_error import ErrorCode
from proxy_addons.front.h2_request import Head
from proxy_addons.front.h2_stream import Stream
from proxy_addons.front.hpack_encoder import encode_fields, encode_head

if TYPE_CHECKING:
    from proxy_addons.front.h2_connection import Connection

_log = logging.getLogger(__name__)

_VERSION: Final = b"HTTP/2"
_LENGTH: Final = b"content-length"
#: Methods whose request says in HTTP/1.1 that it has no body (RFC 9110, section 8.6); some servers answer 411 else.
_WITH_BODY: Final = frozenset((b"POST", b"PUT", b"PATCH"))
_NO_BODY: Final = (_LENGTH, b"0")
_NO_CONTENT: Final = 204


class StreamAsker(Stream):
    """A request and its answer."""

    __slots__ = ("_client", "_front", "_request", "_response", "exchange", "framed")

    def __init__(
        self,
        front: Front,
        client: Client,
        connection: Connection,
        stream_id: int,
        send_window: int,
        receive_window: int,
    ) -> None:
        super().__init__(connection, stream_id, send_window, receive_window)
        self._front = front
        self._client = client
        self._request: Request | None = None
        self._response: Response | None = None
        self.exchange: Exchange | None = None
        self.framed = False

    # -- what the client did

    def request_received(self, head: Head, *, ended: bool) -> None:
        """Asks the front."""
        self._request = request = translate(self._client, head, ended=ended)
        self._front.ask(request, self, b"", ended)

    def data_received(self, data: bytes, *, ended: bool) -> None:
        """Hands it on, unless the answer is complete already."""
        if self.exchange is not None and (data or ended):
            self.exchange.send(data, ended)

    def trailers_received(self, fields: list[Field]) -> None:
        """Only a chunked body has a place for them in HTTP/1.1."""
        if self._request is not None and self._request.length == CHUNKED:
            self._request.trailers = fields
        self.data_received(b"", ended=True)

    def gone(self) -> None:
        """The upstream learns it at once."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.abort()

    def answer_waits(self) -> None:
        """Of this stream; the others go on."""
        if self.exchange is not None:
            self.exchange.pause()

    def answer_flows(self) -> None:
        """Again."""
        if self.exchange is not None:
            self.exchange.resume()

    # -- what is answered

    def on_interim(self, response: Response) -> None:
        """100, 103."""
        block = self._encoded(response.status, response.fields)
        if block is not None:
            self.send_head(block, ended=False)

    def on_response(self, response: Response, data: bytes, ended: bool) -> None:  # noqa: FBT001 - `exchange.Asker`'s
        """The head, and what there is of the body."""
        self._response = response
        fields = response.fields
        if response.status == _NO_CONTENT:  # RFC 9110, section 8.6; some clients take it for a broken promise
            fields = [field for field in fields if field[0].lower() != _LENGTH]
        block = self._encoded(response.status, fields)
        if block is None:
            return
        if not ended or response.trailers:
            self.send_head(block, ended=False)
            if data or ended:
                self.on_body(data, ended)
            return
        self.exchange = None
        if data:
            self.send_whole(block, data)
        else:
            self.send_head(block, ended=True)

    def on_body(self, data: bytes, ended: bool) -> None:  # noqa: FBT001 - `exchange.Asker`'s
        """More of the body."""
        if not ended:
            self.send_data(data, ended=False)
            return
        self.exchange = None
        trailers = self._response.trailers if self._response is not None else []
        if trailers:
            block = self._encoded(None, trailers)
            if block is not None:
                self.send_data(data, ended=False)
                self.send_trailers(block)
        else:
            self.send_data(data, ended=True)

    def on_abort(self) -> None:
        """The client must not take what it has for the whole."""
        self.exchange = None
        self.reset(ErrorCode.INTERNAL_ERROR)

    def hold_body(self) -> None:
        """The client's credit is kept back."""
        self.hold()

    def resume_body(self) -> None:
        """It gets it."""
        self.release()

    def _encoded(self, status: int | None, fields: list[Field]) -> bytes | None:
        """A head, or trailers without a status; None where HTTP/2 has no form for it: then all is over."""
        try:
            return encode_fields(fields) if status is None else encode_head(status, fields)
        except ValueError as error:
            _log.warning("An answer cannot be told over HTTP/2: %s.", error)
            self.reset(ErrorCode.INTERNAL_ERROR)
            self.gone()
            return None


def translate(client: Client, head: Head, *, ended: bool) -> Request:
    """A request that is no tunnel, with its head in HTTP/1.1's form beside it, so that nobody has to make it again."""
    request = Request(client, head.method, head.target, head.fields, head.host)
    request.version = _VERSION
    request.managed = not head.plain
    framing = b""
    if not ended:
        request.length = CHUNKED if head.length is None else head.length
        framing = b"transfer-encoding: chunked\r\n" if head.length is None else b""
    elif head.length is None and head.method in _WITH_BODY:
        request.fields.append(_NO_BODY)
        framing = b"content-length: 0\r\n"
    request.expects = (b"expect", b"100-continue") in head.fields
    request.raw = b"%b %b HTTP/1.1\r\nhost: %b\r\n%b%b\r\n" % (head.method, head.target, head.host, head.lines, framing)
    return request
