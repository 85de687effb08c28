"""One HTTP/2 connection, the server's end, without a socket (RFC 9113): octets in, events on streams, octets out."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from typing import Final

from proxy_addons.front import h2_frame as wire
from proxy_addons.front.h2_control import Control
from proxy_addons.front.h2_credit import Credit
from proxy_addons.front.h2_error import ErrorCode, H2ConnectionError, H2StreamError
from proxy_addons.front.h2_history import History, Past
from proxy_addons.front.h2_limits import Allowance, Limits
from proxy_addons.front.h2_reader import FrameReader, unpadded
from proxy_addons.front.h2_request import Head, check_trailers, read_head
from proxy_addons.front.h2_sender import Sender
from proxy_addons.front.h2_stream import Side, State, Stream
from proxy_addons.front.hpack_decoder import Field, HeaderDecoder
from proxy_addons.front.hpack_encoder import encode_head

#: For a head, on a connection, with an identifier and two windows: to send, to receive.
MakeStream = Callable[[Head, "Connection", int, int, int], Stream]

_HEADERS: Final = wire.HEADERS
_DATA: Final = wire.DATA
_TOO_LARGE: Final = encode_head(431, [(b"content-length", b"0"), (b"x-stores-route", b"fallback")])
#: Our second GOAWAY answers this PING's acknowledgement.
_LAST_CALL: Final = b"stores\0\0"


class Phase(enum.IntEnum):
    """How far its end is."""

    SERVING = 0
    #: Announced: new streams are still taken, as the client may not know yet (section 6.8).
    RETIRING = 1
    #: The streams that there are come to their end.
    RETIRED = 2
    CLOSED = 3


class Connection:
    """`receive` octets; `wake` is called when ``sender.take()`` has some to send, or `phase` became CLOSED."""

    def __init__(
        self,
        make_stream: MakeStream,
        wake: Callable[[], None],
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits = limits or Limits()
        self.sender = Sender(limits, wake)
        self.streams: dict[int, Stream] = {}
        self.phase = Phase.SERVING
        #: Why it was closed, when the client was to blame.
        self.fault: H2ConnectionError | None = None
        self.idle_frames = Allowance(limits.idle_frames, limits.idle_frames_per_second, clock)
        self._resets = Allowance(limits.resets, limits.resets_per_second, clock)
        self._make_stream = make_stream
        self._wake = wake
        self._reader = FrameReader(limits)
        self._decoder = HeaderDecoder(limits.header_list)
        self._control = Control(self)
        self._history = History()
        self.credit = Credit(limits, self.sender, self.streams)
        self.sender.control(self._control.greeting() + self.credit.greeting())

    @property
    def unfinished(self) -> int:
        """What the client has begun and must complete soon: a number, another one for each; 0 for none."""
        return self._reader.unfinished

    def receive(self, data: bytes) -> None:
        """What came. After it, `phase` may be CLOSED: then what is to be sent is the last."""
        if self.phase == Phase.CLOSED:
            return
        try:
            for kind, flags, stream_id, payload in self._reader.feed(data):
                try:
                    self._frame(kind, flags, stream_id, payload)
                except H2StreamError as error:
                    self._stream_failed(error)
        except H2ConnectionError as error:
            self.fault = error
            self.close(error.code, error.reason)
        else:
            if self.sender.unfetched > self.limits.unfetched:
                self.close(ErrorCode.ENHANCE_YOUR_CALM, "answers are asked for and not fetched")

    def retire(self) -> None:
        """Takes no more requests, in two steps, so that none is lost that is on its way (section 6.8)."""
        if self.phase == Phase.SERVING:
            self.phase = Phase.RETIRING
            self.sender.control(wire.goaway(wire.MOST, ErrorCode.NO_ERROR) + wire.frame(wire.PING, 0, 0, _LAST_CALL))

    def ping_answered(self, payload: bytes) -> None:
        """The client has seen what we sent before the PING."""
        if payload == _LAST_CALL:
            self.retire_now()

    def retire_now(self) -> None:
        """The second step; the connection is closed when its last stream is."""
        if self.phase < Phase.RETIRED:
            self.phase = Phase.RETIRED
            self.sender.control(wire.goaway(self._history.last, ErrorCode.NO_ERROR))
            self._close_when_done()

    def close(self, code: ErrorCode, reason: str = "") -> None:
        """Ends everything; what `sender` has is the last to be sent."""
        if self.phase < Phase.CLOSED:
            self.phase = Phase.CLOSED
            self.sender.control(wire.goaway(self._history.last, code, reason))
            self.lost()

    def lost(self) -> None:
        """Nobody is there any more: every stream learns it."""
        self.phase = Phase.CLOSED
        for stream in list(self.streams.values()):
            self._drop(stream)
            stream.gone()

    # -- what streams call

    def closed(self, stream: Stream) -> None:
        """A stream has come to its end."""
        self.sender.forget(stream)
        self.streams.pop(stream.id, None)
        self.credit.settle()
        if self.phase == Phase.RETIRED:
            self._close_when_done()

    def reset(self, stream: Stream, code: ErrorCode) -> None:
        """We end a stream before the client does."""
        self._drop(stream)
        self._send_reset(stream.id, code)

    # -- what the client sent

    def _frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if not self._control.greeted:
            self._control.greet(kind, flags)
        if kind == _HEADERS:
            self._headers(flags, stream_id, payload)
        elif kind == _DATA:
            self._data(flags, stream_id, payload)
        elif kind == wire.RST_STREAM:
            self._rst_stream(stream_id, payload)
        else:
            self._control.frame(kind, flags, stream_id, payload)

    def _headers(self, flags: int, stream_id: int, block: bytes) -> None:
        try:
            # also of a stream that is refused or ignored: the table is the connection's
            fields = self._decoder.decode(block)
        except ValueError as error:
            raise H2ConnectionError(ErrorCode.COMPRESSION_ERROR, str(error)) from error
        ended = bool(flags & wire.END_STREAM)
        stream = self.streams.get(stream_id)
        if stream is not None:
            self._trailers(stream, fields, ended=ended)
        elif stream_id > self._history.last and stream_id & 1:
            self._open(stream_id, fields, ended=ended)
        else:
            self.not_open(stream_id, wire.HEADERS)

    def _open(self, stream_id: int, fields: list[Field] | None, *, ended: bool) -> None:
        if self.phase >= Phase.RETIRED:
            return
        self._history.opened(stream_id)
        if len(self.streams) >= self.limits.streams:
            raise H2StreamError(stream_id, ErrorCode.REFUSED_STREAM, "more streams at once than was agreed on")
        if fields is None:
            self.sender.answer(stream_id, _TOO_LARGE)
            if not ended:
                self._send_reset(stream_id, ErrorCode.NO_ERROR)
            return
        try:
            head = read_head(fields, ended=ended)
        except ValueError as error:
            raise H2StreamError(stream_id, ErrorCode.PROTOCOL_ERROR, str(error)) from error
        stream = self._make_stream(head, self, stream_id, self.sender.stream_window, self.limits.stream_window)
        self.streams[stream_id] = stream
        stream.declared = head.length
        if ended:
            stream.end(Side.REMOTE)
        stream.request_received(head, ended=ended)

    def _trailers(self, stream: Stream, fields: list[Field] | None, *, ended: bool) -> None:
        if stream.state & Side.REMOTE:
            raise H2StreamError(stream.id, ErrorCode.STREAM_CLOSED, "HEADERS behind the end of a stream")
        if not ended:
            raise H2StreamError(
                stream.id, ErrorCode.PROTOCOL_ERROR, "a second head, or trailers that don't end a stream"
            )
        if fields is None:
            raise H2StreamError(stream.id, ErrorCode.ENHANCE_YOUR_CALM, "trailers are too large")
        try:
            check_trailers(fields)
        except ValueError as error:
            raise H2StreamError(stream.id, ErrorCode.PROTOCOL_ERROR, str(error)) from error
        stream.expect_body(0, ended=True)
        stream.end(Side.REMOTE)
        stream.trailers_received(fields)

    def _data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        stream = self.streams.get(stream_id)
        if stream is None:
            self.not_open(stream_id, wire.DATA)
        self.credit.take(size)
        if stream is None:
            return
        if stream.state & Side.REMOTE:
            raise H2StreamError(stream_id, ErrorCode.STREAM_CLOSED, "DATA behind the end of a stream")
        self.credit.take_of(stream, size)
        if flags & wire.PADDED:
            payload = unpadded(payload)
        ended = bool(flags & wire.END_STREAM)
        if not payload and not ended:
            self.idle_frame()
        stream.expect_body(len(payload), ended=ended)
        if ended:
            stream.end(Side.REMOTE)
        stream.data_received(payload, ended=ended)
        if not ended:
            self.credit.give_back(stream)

    def _rst_stream(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != wire.WORD_LENGTH:
            raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM has four octets")
        stream = self.streams.get(stream_id)
        if stream is None:
            self.not_open(stream_id, wire.RST_STREAM)
            self.idle_frame()
            return
        self._drop(stream)
        stream.gone()
        if not self._resets.take():
            raise H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "streams are opened to be reset")

    # -- what goes wrong

    def not_open(self, stream_id: int, kind: int) -> None:
        """A frame on a stream that is not open (section 5.1): returns where it is to be ignored."""
        past = self._history.past(stream_id)
        if past == Past.IDLE and not (self.phase == Phase.RETIRED and stream_id & 1):
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a frame on a stream that was never opened")
        if past == Past.SKIPPED and kind == wire.HEADERS:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "streams are not opened in ascending order")
        if past in {Past.SKIPPED, Past.CLOSED} and kind in {wire.DATA, wire.HEADERS}:
            raise H2ConnectionError(ErrorCode.STREAM_CLOSED, "a frame on a stream that is closed")

    def idle_frame(self) -> None:
        """A frame came that does nothing."""
        if not self.idle_frames.take():
            raise H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "frames that do nothing, again and again")

    def _stream_failed(self, error: H2StreamError) -> None:
        stream = self.streams.get(error.stream_id)
        if stream is not None:
            self._drop(stream)
            stream.gone()
        self._send_reset(error.stream_id, error.code)
        if not self._resets.take():
            raise H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "streams are opened to be reset")

    def _send_reset(self, stream_id: int, code: ErrorCode) -> None:
        self._history.reset(stream_id)
        self.sender.control(wire.rst_stream(stream_id, code))

    def _drop(self, stream: Stream) -> None:
        """Closes it without a word to anybody."""
        if stream.state != State.CLOSED:
            stream.end(Side.BOTH)

    def _close_when_done(self) -> None:
        if not self.streams:
            self.phase = Phase.CLOSED
            self._wake()
