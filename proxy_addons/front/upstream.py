"""One HTTP/1.1 connection to a service, or to mitmproxy, and the one request at a time that is on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from proxy_addons.blocked_host import STATUSES
from proxy_addons.front.chunks import Chunks, chunk, last_chunk
from proxy_addons.front.exchange import CHUNKED, TUNNEL, Asker, Request, Response
from proxy_addons.front.heads import END, LONGEST_HEAD
from proxy_addons.front.response_head import ResponseReader

if TYPE_CHECKING:
    from proxy_addons.front.pool import Pool

#: Bytes that may wait to be written before the other side is asked to read no more.
_HIGH_WATER: Final = 256 * 1024

#: _HALF: a tunnel whose upstream sends no more.
_FREE, _HEAD, _LENGTH, _CHUNKS, _UNTIL_CLOSE, _TUNNEL, _HALF, _OVER = range(8)


class Upstream(asyncio.Protocol):
    """The exchange of the request that it has now (`exchange.Exchange`)."""

    __slots__ = (
        "_asker",
        "_buffer",
        "_chunks",
        "_left",
        "_reader",
        "_request",
        "_state",
        "_transport",
        "asked",
        "failed",
        "free_since",
        "pool",
        "quiet",
        "sent",
        "uses",
    )

    def __init__(self, pool: Pool, failed: Callable[[Upstream, Request, Asker, OSError], None], *, local: bool) -> None:
        """`failed` is told of a request whose answer did not begin."""
        self.pool = pool
        self.failed = failed
        #: How many requests it has had. Of the present one: whether no byte came back, and whether it is complete.
        self.uses = 0
        self.quiet, self.sent = True, False
        #: When it became free, and when the present request was complete: in seconds of the loop's clock, in ticks.
        self.free_since = 0.0
        self.asked = 0
        self._reader = ResponseReader(local=local)
        self._transport: Any = None
        self._asker: Asker | None = None
        self._request: Request | None = None
        self._state = _FREE
        self._buffer = b""
        self._left = 0
        self._chunks = Chunks()

    def connection_made(self, transport: Any) -> None:
        """It stands."""
        self._transport = transport
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        self.pool.add(self)

    # The request

    def begin(self, request: Request, head: bytes, asker: Asker, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Exchange.send`
        """Sends a request; only when it is free."""
        self._request, self._asker, self._state = request, asker, _HEAD
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
        request = self._request
        if self._state >= _TUNNEL:
            self._send_raw(data, ended)
            return
        if self.sent:  # a page was asked for instead, and nobody reads the body
            return
        if request is not None and request.length == CHUNKED and not request.framed:
            data = chunk(data) + (last_chunk(request.trailers) if ended else b"")
        if data:
            self._transport.write(data)
        if ended:
            self.sent = True
            self._wait()

    def _wait(self) -> None:
        """The request is complete: from now on, its client waits."""
        clock = self.pool.clock
        self.asked = clock.now
        if clock.stands:
            clock.wind()

    def _send_raw(self, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Exchange.send`
        if data:
            self._transport.write(data)
        if ended:
            self.sent = True
            if self._state == _HALF:
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

    # The answer

    def data_received(self, data: bytes) -> None:
        """Some of the answer; unasked, it ends the connection."""
        asker, state = self._asker, self._state
        if asker is None:
            self._transport.abort()
        elif state == _HEAD:
            self.quiet = False
            self._read_head(self._buffer + data if self._buffer else data, asker)
        elif state == _LENGTH:
            size = len(data)
            if size < self._left:
                self._left -= size
                asker.on_body(data, False)
            else:
                body, surplus = (data, False) if size == self._left else (data[: self._left], True)
                self._finish(surplus=surplus)
                asker.on_body(body, True)
        elif state == _CHUNKS:
            self._read_chunks(None, data, asker)
        else:
            asker.on_body(data, False)

    def _read_head(self, data: bytes, asker: Asker) -> None:
        request = self._request
        while request is not None and self._asker is asker:
            end = data.find(END) + len(END)
            if end < len(END):
                self._buffer = data
                if len(data) > LONGEST_HEAD:
                    self._fail(ConnectionError("the answer's head is too long"))
                return
            head, data = (data[:end], data[end:]) if end < len(data) else (data, b"")
            self._buffer = b""
            try:
                response = self._reader.read(head, request.method)
            except ValueError as error:
                self._fail(ConnectionError(f"the answer is no proper HTTP: {error}"))
                return
            if response.status >= 200 or response.length == TUNNEL:  # noqa: PLR2004 - what is no 1xx is final
                if response.status in STATUSES and self.pool.refusals is not None:
                    self._asker = asker = self.pool.refusals.overheard(request, response, asker)
                self._read_body(response, data, asker)
                return
            asker.on_interim(response)
            if not data:
                return

    def _read_body(self, response: Response, data: bytes, asker: Asker) -> None:
        length = response.length
        if length >= 0:
            size = len(data)
            if size < length:
                self._state, self._left = _LENGTH, length - size
                asker.on_response(response, data, False)
                return
            self._finish(surplus=size > length)
            asker.on_response(response, data[:length] if size > length else data, True)
        elif length == CHUNKED:
            self._state, self._chunks = _CHUNKS, Chunks()
            self._read_chunks(response, data, asker)
        else:
            self._state = _UNTIL_CLOSE
            if length == TUNNEL:  # where the request was complete, another conversation begins
                self._state, self.sent = _TUNNEL, False
            asker.on_response(response, data, False)

    def _read_chunks(self, response: Response | None, data: bytes, asker: Asker) -> None:
        chunks = self._chunks
        pieces: list[bytes] | None = None if asker.framed else []
        try:
            end = chunks.read(data, pieces)
        except ValueError:
            if response is None:
                self._break_off()
            else:
                self._fail(ConnectionError("the answer's first chunk is none"))
            return
        body = (data if end == len(data) else data[:end]) if pieces is None else b"".join(pieces)
        if response is not None:
            response.trailers = chunks.trailers  # the same list, filled in as they come
        if chunks.ended:
            self._finish(surplus=end < len(data))
        if response is not None:
            asker.on_response(response, body, chunks.ended)
        elif body or chunks.ended:
            asker.on_body(body, chunks.ended)

    # The end

    def _forget(self) -> None:
        if self._asker is not None:
            self._asker.exchange = None
        self._asker = self._request = None
        self._state = _OVER

    def _finish(self, *, surplus: bool) -> None:
        """The answer is complete. Before the asker hears of it, which may ask for the next thing at once."""
        self._forget()
        # A service that answers before it has read the whole request gets no second one on top of the rest.
        unread = self._transport.get_write_buffer_size()
        if self._reader.keeps and self.sent and not surplus and not unread:
            self._state = _FREE
            self.pool.put(self)
        else:
            self._transport.close()

    def _fail(self, error: OSError) -> None:
        """There will be no answer."""
        request, asker = self._request, self._asker
        self._forget()
        self._transport.abort()
        if request is not None and asker is not None:
            self.failed(self, request, asker, error)

    def _break_off(self) -> None:
        """There will be no end to the answer that has begun."""
        asker = self._asker
        self._forget()
        self._transport.abort()
        if asker is not None:
            asker.on_abort()

    def give_up(self) -> None:
        """Nobody waits any longer for this answer."""
        if self._state == _HEAD:
            self._fail(TimeoutError("no answer in time"))

    @property
    def unread(self) -> bytes:
        """What came and is no whole head."""
        return self._buffer

    @property
    def waits(self) -> bool:
        """Whether a complete request waits for its answer's head."""
        return self._state == _HEAD and self.sent

    @property
    def usable(self) -> bool:
        """Whether a request can be sent on it."""
        return self._state == _FREE and not self._transport.is_closing()

    def close(self) -> None:
        """It is not needed any more."""
        self._transport.close()

    def eof_received(self) -> bool:
        """A tunnel may be open in the other direction; all else is over."""
        asker = self._asker
        if self._state != _TUNNEL or asker is None:
            return False
        self._state = _HALF
        if self.sent:
            self._forget()
        asker.on_body(b"", True)
        return not self.sent

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed, by whichever side."""
        self.pool.drop(self)
        asker, state = self._asker, self._state
        if asker is None:
            return
        if state == _HEAD:
            self._fail(ConnectionError("the connection was closed before an answer"))
        elif state == _UNTIL_CLOSE and error is None:
            self._forget()
            asker.on_body(b"", True)
        else:
            self._break_off()
