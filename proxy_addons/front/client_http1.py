"""One HTTP/1 connection of a client: its requests, one after the other, and their answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from proxy_addons.front import refusal
from proxy_addons.front.answer_sender import IN_BODY, IN_HEAD, IN_TUNNEL, LINGERS, WAITS, AnswerSender
from proxy_addons.front.client import Client
from proxy_addons.front.exchange import Request
from proxy_addons.front.request_framing import FramingError, RequestFraming

if TYPE_CHECKING:
    from proxy_addons.front.clients import Clients

#: Bytes that a client may send ahead of its turn: pipelined requests, the first words of another protocol.
_MOST_AHEAD: Final = 64 * 1024
#: Seconds between a client's FIN and the end of its request. Most clients that send one are gone (and mitmproxy, Go and
#: nginx take all of them for gone); some only have no more to say, and the services here answer in less.
_HALF_CLOSED: Final = 0.05
#: Seconds in which a client that still sends may read our last answer, before the connection is reset under it.
_LINGER: Final = 2.0


class Http1Client(AnswerSender):
    """The asker of its present request (`exchange.Asker`)."""

    __slots__ = ("_choked", "_framing", "_gone", "_held", "_request", "since")

    def __init__(self, clients: Clients) -> None:
        super().__init__(clients)
        #: The clock's tick at which it began to wait for a request, or for the rest of a head.
        self.since = 0
        self._framing: RequestFraming
        self._request: Request | None = None
        #: The client does not read; it sends no more; it must not.
        self._choked = self._gone = self._held = False

    def connection_made(self, transport: Any) -> None:
        """It stands, and TLS with it."""
        self._transport = transport
        self._framing = RequestFraming(Client.of(transport))
        self._clients.add(self)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - gone is gone
        """The client is gone, and its request with it."""
        self._clients.drop(self)
        self._state, self._framing.ahead = LINGERS, b""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.abort()

    # From the client

    def data_received(self, data: bytes) -> None:
        """Heads, bodies, and what comes ahead of its turn."""
        state = self._state
        if state == IN_HEAD:
            self._read_head(data)
        elif state == IN_BODY:
            self._read_body(data)
        elif state == IN_TUNNEL:
            if self.exchange is not None:
                self.exchange.send(data, False)
        elif state == WAITS:
            self._framing.ahead += data
            if len(self._framing.ahead) > _MOST_AHEAD:
                self._transport.pause_reading()

    def _read_head(self, data: bytes) -> None:
        framing = self._framing
        first = not framing.ahead
        try:
            whole = framing.read_head(data)
        except FramingError as error:
            self._refuse(error.status)
            return
        if whole is None:
            if first:
                self._await()
            return
        request, body = whole
        ended = framing.ended
        self._request = request
        self._last = framing.closes
        self._answering = False
        self.framed = request.version == b"HTTP/1.1"
        self._state = WAITS if ended else IN_BODY
        self._clients.front.ask(request, self, body, ended)

    def _read_body(self, data: bytes) -> None:
        framing = self._framing
        try:
            data = framing.read_body(data)
        except ValueError:
            self._break_off()
            return
        ended = framing.ended
        if ended:
            self._state = WAITS
        if self.exchange is not None:
            self.exchange.send(data, ended)
        elif ended:
            self._answered()

    def _break_off(self) -> None:
        """The request's body turned out to be none."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.abort()
        if self._answering:
            self._transport.abort()
        else:
            self._refuse(400)

    def eof_received(self) -> bool:
        """No more will come. Between two requests that is good-bye."""
        self._gone = True
        exchange = self.exchange
        if self._state == IN_TUNNEL and exchange is not None:
            exchange.send(b"", True)
            return self._transport.get_extra_info("ssl_object") is None
        if self._state != WAITS or exchange is None:
            return False
        asyncio.get_running_loop().call_later(_HALF_CLOSED, self._give_up)
        return True

    def _give_up(self) -> None:
        if not self._transport.is_closing():
            self._transport.abort()

    # Back-pressure, both ways

    def hold_body(self) -> None:
        """The kernel's buffers fill, and the client waits."""
        self._held = True
        self._transport.pause_reading()

    def resume_body(self) -> None:
        """It goes on."""
        self._held = False
        self._transport.resume_reading()

    def pause_writing(self) -> None:
        """The client does not read."""
        self._choked = True
        if self.exchange is not None:
            self.exchange.pause()

    def resume_writing(self) -> None:
        """It reads again."""
        self._choked = False
        if self.exchange is not None:
            self.exchange.resume()
        elif self._state == WAITS and self._request is None:
            self._go_on()

    # What comes after the answer

    def _open_tunnel(self) -> None:
        self._state = IN_TUNNEL
        ahead, self._framing.ahead = self._framing.ahead, b""
        if self.exchange is not None:
            if ahead:
                self.exchange.send(ahead, False)
            if self._gone:
                self.exchange.send(b"", True)
        self._transport.resume_reading()

    def _answered(self) -> None:
        """The answer is complete: the next request's turn, if there can be one."""
        if self._last or self._gone or self._state != WAITS:
            self._say_good_bye()
            return
        self._request = None
        if not self._choked:
            self._go_on()

    def _go_on(self) -> None:
        self._state = IN_HEAD
        self._await()
        ahead = self._framing.ahead
        if ahead or self._held:  # held: the service answered without taking the whole body in
            self._held = False
            self._transport.resume_reading()
        if ahead:
            self._read_head(b"")

    def _await(self) -> None:
        clock = self._clients.clock
        self.since = clock.now
        if clock.stands:
            clock.wind()

    def _refuse(self, status: int) -> None:
        self._transport.write(refusal.http1(status))
        self._say_good_bye()

    def _say_good_bye(self) -> None:
        """Closes; but a client that is still sending would lose our last words by a reset (RFC 9112, section 9.6)."""
        self._framing.ahead = b""
        if self._state == WAITS or self._gone or not self._transport.can_write_eof():
            self._state = LINGERS
            self._transport.close()
            return
        self._state = LINGERS
        self._transport.write_eof()
        self._transport.resume_reading()
        asyncio.get_running_loop().call_later(_LINGER, self._give_up)

    # For `clients`

    @property
    def waits(self) -> bool:
        """Whether it waits for a request, and may be closed."""
        return self._state == IN_HEAD

    @property
    def began(self) -> bool:
        """Whether a part of a head has come."""
        return bool(self._framing.ahead)

    @property
    def busy(self) -> bool:
        """Whether a request is being answered. A tunnel may last for ever."""
        return self._state in {IN_BODY, WAITS}

    def abort(self) -> None:
        """The gateway ends."""
        self._transport.abort()

    def close(self) -> None:
        """Nothing is asked on it."""
        self._transport.close()

    def time_out(self) -> None:
        """The rest of a head did not come."""
        self._refuse(408)
