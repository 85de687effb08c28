"""One HTTP/1.1 connection to a service, or to mitmproxy, and the one request at a time that is on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from proxy_addons.front.blocked_host import STATUSES
from proxy_addons.front.chunks import Chunks
from proxy_addons.front.exchange import CHUNKED, TUNNEL, Asker, Request, Response
from proxy_addons.front.heads import END, LONGEST_HEAD, hopeless
from proxy_addons.front.request_sender import (
    FREE,
    IN_BODY,
    IN_CHUNKS,
    IN_HALF,
    IN_HEAD,
    IN_TUNNEL,
    UNTIL_EOF,
    RequestSender,
)
from proxy_addons.front.response_head import ResponseReader

if TYPE_CHECKING:
    from proxy_addons.front.pool import Pool

_BEGIN: Final = b"HTTP/"
_SWITCHING: Final = 101


class Upstream(RequestSender):
    """The exchange of the request that it has now (`exchange.Exchange`)."""

    __slots__ = ("_buffer", "_chunks", "_left", "_reader", "failed", "free_since", "pool")

    def __init__(self, pool: Pool, failed: Callable[[Upstream, Request, Asker, OSError], None], *, local: bool) -> None:
        """`failed` is told of a request whose answer did not begin."""
        super().__init__(pool.clock)
        self.pool = pool
        self.failed = failed
        #: When it became free, in seconds of the loop's clock.
        self.free_since = 0.0
        self._reader = ResponseReader(local=local)
        self._buffer = b""
        self._left = 0
        self._chunks = Chunks()

    def connection_made(self, transport: Any) -> None:
        """It stands."""
        super().connection_made(transport)
        self.pool.add(self)

    def data_received(self, data: bytes) -> None:
        """Some of the answer; unasked, it ends the connection."""
        asker, state = self._asker, self._state
        if asker is None:
            self._transport.abort()
        elif state == IN_HEAD:
            self.quiet = False
            self._read_head(self._buffer + data if self._buffer else data, asker)
        elif state == IN_BODY:
            size = len(data)
            if size < self._left:
                self._left -= size
                asker.on_body(data, False)
            else:
                body, surplus = (data, False) if size == self._left else (data[: self._left], True)
                self._finish(surplus=surplus)
                asker.on_body(body, True)
        elif state == IN_CHUNKS:
            self._read_chunks(None, data, asker)
        else:
            asker.on_body(data, False)

    def _read_head(self, data: bytes, asker: Asker) -> None:
        request = self._request
        while request is not None and self._asker is asker:
            end = data.find(END) + len(END)
            if end < len(END):
                self._buffer = data
                if not _BEGIN.startswith(data[: len(_BEGIN)]) or hopeless(data):
                    # another protocol's greeting, or bare LFs: there is no end to wait for
                    self._fail(ConnectionError("the answer is no HTTP"))
                elif len(data) > LONGEST_HEAD:
                    self._fail(ConnectionError("the answer's head is too long"))
                return
            head, data = (data[:end], data[end:]) if end < len(data) else (data, b"")
            self._buffer = b""
            try:
                response = self._reader.read(head, request.method)
            except ValueError as error:
                self._fail(ConnectionError(f"the answer is no proper HTTP: {error}"))
                return
            if response.status == _SWITCHING and not request.upgrade:
                self._fail(ConnectionError("the answer changes the protocol, which nobody asked for"))
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
                self._state, self._left = IN_BODY, length - size
                asker.on_response(response, data, False)
                return
            self._finish(surplus=size > length)
            asker.on_response(response, data[:length] if size > length else data, True)
        elif length == CHUNKED:
            self._state, self._chunks = IN_CHUNKS, Chunks()
            self._read_chunks(response, data, asker)
        else:
            self._state = UNTIL_EOF
            if length == TUNNEL:  # where the request was complete, another conversation begins
                self._state, self.sent = IN_TUNNEL, False
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

    def _finish(self, *, surplus: bool) -> None:
        """The answer is complete. Before the asker hears of it, which may ask for the next thing at once."""
        self._forget()
        # A service that answers before it has read the whole request gets no second one on top of the rest.
        unread = self._transport.get_write_buffer_size()
        if self._reader.keeps and self.sent and not surplus and not unread:
            self._state = FREE
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
        if self._state == IN_HEAD:
            self._fail(TimeoutError("no answer in time"))

    @property
    def unread(self) -> bytes:
        """What came and is no whole head."""
        return self._buffer

    def eof_received(self) -> bool:
        """A tunnel may be open in the other direction; all else is over."""
        asker = self._asker
        if self._state != IN_TUNNEL or asker is None:
            return False
        self._state = IN_HALF
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
        if state == IN_HEAD:
            self._fail(ConnectionError("the connection was closed before an answer"))
        elif state == UNTIL_EOF and error is None:
            self._forget()
            asker.on_body(b"", True)
        else:
            self._break_off()
