"""The answer's half of a client's HTTP/1 connection: `client_http1` is the whole, with the requests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from proxy_addons.front import policy
from proxy_addons.front.exchange import CHUNKED, UNTIL_CLOSE, Exchange, Response

if TYPE_CHECKING:
    from proxy_addons.front.clients import Clients

#: Where a connection is, by what is awaited of its client. WAITS: nothing, until the answer is complete.
IN_HEAD, IN_BODY, WAITS, IN_TUNNEL, LINGERS = range(5)


class AnswerSender(asyncio.Protocol):
    """The asker of its present request (`exchange.Asker`), in what is answered."""

    __slots__ = ("_answering", "_clients", "_last", "_state", "_transport", "exchange", "framed")

    def __init__(self, clients: Clients) -> None:
        self.exchange: Exchange | None = None
        self.framed = True
        self._clients = clients
        self._transport: Any = None
        self._state = IN_HEAD
        #: The answer has begun; it is the connection's last.
        self._answering = self._last = False

    def _answered(self) -> None:
        """The answer is complete."""
        raise NotImplementedError

    def _open_tunnel(self) -> None:
        """The answer has changed the protocol."""
        raise NotImplementedError

    def on_interim(self, response: Response) -> None:
        """HTTP/1.0 knows no such thing."""
        if self.framed:
            head = response.raw or policy.answer_head(response, framed=False)
            self._transport.write(head + b"\r\n")

    def on_response(self, response: Response, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Asker`
        """The head, and in one write with it what is there of the body."""
        self._answering = True
        framed = self.framed
        head = response.raw
        if not head or (response.chunked and not framed):
            head = policy.answer_head(response, framed=framed)
        if response.tunnel:
            self._transport.write(head + b"\r\n" + data)
            self._open_tunnel()
            return
        if response.length == UNTIL_CLOSE or (response.length == CHUNKED and not framed):
            self._last = True
        if self._last or (ended and self._state != WAITS) or self._clients.closing:
            self._last = True
            head += b"Connection: close\r\n"
        self._transport.write(head + b"\r\n" + data)
        if ended:
            self._answered()

    def on_body(self, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Asker`
        """As it comes."""
        if data:
            self._transport.write(data)
        if ended:
            if self._state != IN_TUNNEL:
                self._answered()
            elif self._transport.can_write_eof():
                self._transport.write_eof()
            else:
                self._transport.close()

    def on_abort(self) -> None:
        """A client must see that the end is missing."""
        self._transport.abort()
