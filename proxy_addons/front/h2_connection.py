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
from proxy_addons.front.h2_reader import FrameReader
from proxy_addons.front.h2_sender import Sender
from proxy_addons.front.h2_stream import Side, State, Stream
from proxy_addons.front.h2_stream_frames import MakeStream, StreamFrames

_HEADERS: Final = wire.HEADERS
_DATA: Final = wire.DATA
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
        self._wake = wake
        self._reader = FrameReader(limits)
        self._control = Control(self)
        self._history = History()
        self.credit = Credit(limits, self.sender, self.streams)
        self._stream_frames = StreamFrames(self, self._history, make_stream)
        self.sender.control(self._control.greeting() + self.credit.greeting())

    @property
    def unfinished(self) -> int:
        """What the client has begun and must complete soon: a number, another one for each; 0 for none."""
        return self._reader.unfinished

    @property
    def retired(self) -> bool:
        """Whether it takes no more requests."""
        return self.phase >= Phase.RETIRED

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
            self.lose(stream)

    # -- what streams and their frames call

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
        self.send_reset(stream.id, code)

    def send_reset(self, stream_id: int, code: ErrorCode) -> None:
        """Of a stream that is closed, or never was."""
        self._history.reset(stream_id)
        self.sender.control(wire.rst_stream(stream_id, code))

    def lose(self, stream: Stream) -> None:
        """The client wants no more of a stream, or may not."""
        self._drop(stream)
        stream.gone()

    def count_reset(self) -> None:
        """A stream ended so."""
        if not self._resets.take():
            raise H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "streams are opened to be reset")

    # -- what the client sent

    def _frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if not self._control.greeted:
            self._control.greet(kind, flags)
        if kind == _HEADERS:
            self._stream_frames.headers(flags, stream_id, payload)
        elif kind == _DATA:
            self._stream_frames.data(flags, stream_id, payload)
        elif kind == wire.RST_STREAM:
            self._stream_frames.rst_stream(stream_id, payload)
        else:
            self._control.frame(kind, flags, stream_id, payload)

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
            self.lose(stream)
        self.send_reset(error.stream_id, error.code)
        self.count_reset()

    def _drop(self, stream: Stream) -> None:
        """Closes it without a word to anybody."""
        if stream.state != State.CLOSED:
            stream.end(Side.BOTH)

    def _close_when_done(self) -> None:
        if not self.streams:
            self.phase = Phase.CLOSED
            self._wake()
