"""The request's half of a connection to a service, or to mitmproxy: `upstream` is the whole, with the answer."""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, Any, Final

from proxy_addons.front.chunks import chunk, last_chunk
from proxy_addons.front.exchange import CHUNKED, Asker, Request

if TYPE_CHECKING:
    from proxy_addons.front.clock import Clock

#: Bytes that may wait to be written before the other side is asked to read no more.
_HIGH_WATER: Final = 256 * 1024

#: Turns of the loop after which every socket has been asked at least once (`turns`).
_POLLS: Final = 2

#: Where a connection is, by what is awaited of its upstream. IN_HALF: a tunnel on which nothing is, any more.
FREE, IN_HEAD, IN_BODY, IN_CHUNKS, UNTIL_EOF, IN_TUNNEL, IN_HALF, OVER = range(8)


class RequestSender(asyncio.Protocol):
    """Sends HTTP/1.1's requests, one at a time, in the framing that each of them needs."""

    __slots__ = ("_asker", "_clock", "_late", "_request", "_state", "_transport", "asked", "quiet", "sent", "uses")

    def __init__(self, clock: Clock) -> None:
        #: How many requests it has had. Of the present one: whether no byte came back, and whether it is complete.
        self.uses = 0
        self.quiet, self.sent = True, False
        #: The clock's tick at which the present request was complete.
        self.asked = 0
        self._clock = clock
        self._transport: Any = None
        self._asker: Asker | None = None
        self._request: Request | None = None
        self._state = FREE
        #: Of the body, what waits until an answer that is there already was read.
        self._late: list[tuple[bytes, bool]] = []

    def connection_made(self, transport: Any) -> None:
        """It stands."""
        self._transport = transport
        transport.set_write_buffer_limits(high=_HIGH_WATER)

    def begin(self, request: Request, head: bytes, asker: Asker, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Exchange.send`
        """Sends a request; only when it is free."""
        self._request, self._asker, self._state = request, asker, IN_HEAD
        self.quiet, self.sent = True, ended
        self.uses += 1
        asker.exchange = self
        if request.length == CHUNKED and not request.framed:
            data = chunk(data) + (last_chunk(request.trailers) if ended else b"")
        self._transport.write(head + data if data else head)
        if ended:
            self._wait()

    def send(self, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Exchange.send`
        """More of the request's body, or of what came after it changed the protocol."""
        if self._state >= IN_TUNNEL:
            self._send_raw(data, ended)
            return
        if self.sent:  # a page was asked for instead, and nobody reads the body
            return
        if self._late or (self._state == IN_HEAD and self._speaks()):
            # Who answers before it has read all, and closes, resets the connection: a write would fail then, and its
            # answer be lost with it.
            if not self._late:
                asyncio.get_running_loop().call_soon(self._go_on, _POLLS)
            self._late.append((data, ended))
            return
        self._send_body(data, ended)

    def _speaks(self) -> bool:
        """Whether there is something to read, or nothing to write to any more."""
        if self._transport.is_closing():
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def _go_on(self, polls: int) -> None:
        """With what waits, once the loop has read what is there."""
        if polls:
            asyncio.get_running_loop().call_soon(self._go_on, polls - 1)
            return
        late, self._late = self._late, []
        for data, ended in late:
            if self._state >= IN_TUNNEL or self._request is None:
                return
            self._send_body(data, ended)

    def _send_body(self, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Exchange.send`
        request = self._request
        if request is not None and request.length == CHUNKED and not request.framed:
            data = chunk(data) + (last_chunk(request.trailers) if ended else b"")
        if data:
            self._transport.write(data)
        if ended:
            self.sent = True
            self._wait()

    def _wait(self) -> None:
        """The request is complete: from now on, its client waits."""
        clock = self._clock
        self.asked = clock.now
        if clock.stands:
            clock.wind()

    def _send_raw(self, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Exchange.send`
        if data:
            self._transport.write(data)
        if ended:
            self.sent = True
            if self._state == IN_HALF:
                self._forget()
                self._transport.close()
            else:
                self._transport.write_eof()

    def abort(self) -> None:
        """The client is gone."""
        self._forget()
        self._transport.abort()

    def pause(self) -> None:
        """The client does not read."""
        self._transport.pause_reading()

    def resume(self) -> None:
        """The client reads again."""
        self._transport.resume_reading()

    def pause_writing(self) -> None:
        """The upstream does not read."""
        if self._asker is not None:
            self._asker.hold_body()

    def resume_writing(self) -> None:
        """The upstream reads again."""
        if self._asker is not None:
            self._asker.resume_body()

    def _forget(self) -> None:
        """The request is over, however it ended."""
        if self._asker is not None:
            self._asker.exchange = None
        self._asker = self._request = None
        self._late.clear()
        self._state = OVER

    @property
    def waits(self) -> bool:
        """Whether a complete request waits for its answer's head."""
        return self._state == IN_HEAD and self.sent

    @property
    def usable(self) -> bool:
        """Whether a request can be sent on it."""
        return self._state == FREE and not self._transport.is_closing()

    def close(self) -> None:
        """It is not needed any more."""
        self._transport.close()
