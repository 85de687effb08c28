"""One HTTP/1 connection of a client: its requests, one after the other, and their answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from proxy_addons.front import policy, refusal
from proxy_addons.front.client import Client
from proxy_addons.front.exchange import CHUNKED, UNTIL_CLOSE, Exchange, Request, Response
from proxy_addons.front.heads import END, LONGEST_HEAD, hopeless
from proxy_addons.front.request_body import RequestBody
from proxy_addons.front.request_head import RequestReader

if TYPE_CHECKING:
    from proxy_addons.front.clients import Clients

#: Bytes that a client may send ahead of its turn: pipelined requests, the first words of another protocol.
_MOST_AHEAD: Final = 64 * 1024
#: Seconds between a client's FIN and the end of its request. Most clients that send one are gone (and mitmproxy, Go and
#: nginx take all of them for gone); some only have no more to say, and the services here answer in less.
_HALF_CLOSED: Final = 0.05
#: Seconds in which a client that still sends may read our last answer, before the connection is reset under it.
_LINGER: Final = 2.0

_HEAD, _BODY, _WAIT, _TUNNEL, _LINGERING = range(5)


class Http1Client(asyncio.Protocol):
    """The asker of its present request (`exchange.Asker`)."""

    __slots__ = (
        "_ahead",
        "_answering",
        "_body",
        "_choked",
        "_clients",
        "_gone",
        "_held",
        "_last",
        "_reader",
        "_request",
        "_scanned",
        "_state",
        "_transport",
        "exchange",
        "framed",
        "since",
    )

    def __init__(self, clients: Clients) -> None:
        self.exchange: Exchange | None = None
        self.framed = True
        #: The clock's tick at which it began to wait for a request, or for the rest of a head.
        self.since = 0
        self._clients = clients
        self._transport: Any = None
        self._reader: RequestReader
        self._request: Request | None = None
        self._state = _HEAD
        self._ahead = b""
        self._scanned = 0
        self._body: RequestBody
        #: The answer has begun; it is the connection's last; the client does not read; it sends no more; it must not.
        self._answering = self._last = self._choked = self._gone = self._held = False

    def connection_made(self, transport: Any) -> None:
        """It stands, and TLS with it."""
        self._transport = transport
        self._reader = RequestReader(Client.of(transport))
        self._clients.add(self)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - gone is gone
        """The client is gone, and its request with it."""
        self._clients.drop(self)
        self._state, self._ahead = _LINGERING, b""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.abort()

    # From the client

    def data_received(self, data: bytes) -> None:
        """Heads, bodies, and what comes ahead of its turn."""
        state = self._state
        if state == _HEAD:
            self._read_head(self._ahead + data if self._ahead else data)
        elif state == _BODY:
            self._read_body(data)
        elif state == _TUNNEL:
            if self.exchange is not None:
                self.exchange.send(data, False)
        elif state == _WAIT:
            self._ahead += data
            if len(self._ahead) > _MOST_AHEAD:
                self._transport.pause_reading()

    def _read_head(self, data: bytes) -> None:
        if data[:2] == b"\r\n":  # RFC 9112, section 2.2: some clients end a body with a line that is none of its own
            data = data[2:]
        if data[:1] in {b"\r", b"\n"} and data[:2] != b"\r":  # a second such line, or half of one
            self._refuse(400)
            return
        end = data.find(END, self._scanned) + len(END)
        if end < len(END):
            self._wait_for_head(data)
            return
        self._ahead, self._scanned = b"", 0
        head, rest = (data[:end], data[end:]) if end < len(data) else (data, b"")
        if end > LONGEST_HEAD:
            self._refuse(431)
            return
        try:
            request = self._reader.read(head)
            self._body = RequestBody(request.length)
            size = self._body.read(rest) if request.length else 0
        except ValueError:
            self._refuse(400)
            return
        self._request = request
        self._last = self._reader.closes
        self._answering = False
        self.framed = request.version == b"HTTP/1.1"
        body, self._ahead = rest[:size], rest[size:]
        ended = self._body.ended
        self._state = _WAIT if ended else _BODY
        self._clients.front.ask(request, self, body, ended)

    def _wait_for_head(self, data: bytes) -> None:
        if len(data) > LONGEST_HEAD:
            self._refuse(431)
        elif hopeless(data):
            self._refuse(400)
        else:
            if not self._ahead:
                self._await()
            self._ahead, self._scanned = data, max(0, len(data) - len(END))

    def _read_body(self, data: bytes) -> None:
        try:
            end = self._body.read(data)
        except ValueError:
            self._break_off()
            return
        ended = self._body.ended
        if ended:
            self._state = _WAIT
            self._ahead = data[end:]
            data = data[:end]
        if self.exchange is not None:
            self.exchange.send(data, ended)
        elif ended:
            self._next()

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
        if self._state == _TUNNEL and exchange is not None:
            exchange.send(b"", True)
            return self._transport.get_extra_info("ssl_object") is None
        if self._state != _WAIT or exchange is None:
            return False
        asyncio.get_running_loop().call_later(_HALF_CLOSED, self._give_up)
        return True

    def _give_up(self) -> None:
        if not self._transport.is_closing():
            self._transport.abort()

    # To the client

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
        if self._last or (ended and self._state != _WAIT) or self._clients.closing:
            self._last = True
            head += b"Connection: close\r\n"
        self._transport.write(head + b"\r\n" + data)
        if ended:
            self._next()

    def on_body(self, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Asker`
        """As it comes."""
        if data:
            self._transport.write(data)
        if ended:
            if self._state != _TUNNEL:
                self._next()
            elif self._transport.can_write_eof():
                self._transport.write_eof()
            else:
                self._transport.close()

    def on_abort(self) -> None:
        """A client must see that the end is missing."""
        self._transport.abort()

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
        elif self._state == _WAIT and self._request is None:
            self._go_on()

    def _open_tunnel(self) -> None:
        self._state = _TUNNEL
        ahead, self._ahead = self._ahead, b""
        if self.exchange is not None:
            if ahead:
                self.exchange.send(ahead, False)
            if self._gone:
                self.exchange.send(b"", True)
        self._transport.resume_reading()

    def _next(self) -> None:
        """The answer is complete: the next request's turn, if there can be one."""
        if self._last or self._gone or self._state != _WAIT:
            self._say_good_bye()
            return
        self._request = None
        if not self._choked:
            self._go_on()

    def _go_on(self) -> None:
        self._state = _HEAD
        self._await()
        ahead = self._ahead
        if ahead or self._held:  # held: the service answered without taking the whole body in
            self._held = False
            self._transport.resume_reading()
        if ahead:
            self._ahead = b""
            self._read_head(ahead)

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
        self._ahead = b""
        if self._state == _WAIT or self._gone or not self._transport.can_write_eof():
            self._state = _LINGERING
            self._transport.close()
            return
        self._state = _LINGERING
        self._transport.write_eof()
        self._transport.resume_reading()
        asyncio.get_running_loop().call_later(_LINGER, self._give_up)

    # For `clients`

    @property
    def waits(self) -> bool:
        """Whether it waits for a request, and may be closed."""
        return self._state == _HEAD

    @property
    def began(self) -> bool:
        """Whether a part of a head has come."""
        return bool(self._ahead)

    @property
    def busy(self) -> bool:
        """Whether a request is being answered. A tunnel may last for ever."""
        return self._state in {_BODY, _WAIT}

    def abort(self) -> None:
        """The gateway ends."""
        self._transport.abort()

    def close(self) -> None:
        """Nothing is asked on it."""
        self._transport.close()

    def time_out(self) -> None:
        """The rest of a head did not come."""
        self._refuse(408)
