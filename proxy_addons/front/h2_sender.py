"""What goes to the client: control frames at once, data as far as its windows let them (RFC 9113, section 5.2)."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Final

from proxy_addons.front.h2_frame import DATA, END_STREAM, FRAME_SIZE, MOST, header_frames, pack_head
from proxy_addons.front.h2_limits import Limits
from proxy_addons.front.h2_stream import Side, Stream
from proxy_addons.front.hpack_encoder import NO_TABLE

#: Windows begin with this (section 6.9.2).
FIRST_WINDOW: Final = 65535
#: Longer frames save little, and a stream must not keep the others waiting (section 4.2).
_LONGEST_FRAME: Final = 65536
#: Octets of data between two calls of `take`: what is given to the transport before it is asked whether it takes more.
_TURN: Final = 256 * 1024


class Sender:
    """Frames in their order. `wake` is called when there is something to `take`, where there was nothing before."""

    __slots__ = (
        "_blocked",
        "_first_block",
        "_limits",
        "_out",
        "_room",
        "_waiting",
        "_wake",
        "frame_size",
        "stream_window",
        "unfetched",
        "window",
    )

    def __init__(self, limits: Limits, wake: Callable[[], None]) -> None:
        self._limits = limits
        self._wake = wake
        self._out: list[bytes | memoryview] = []
        #: Octets of data that may be added before the next `take`; 0 while the transport takes no more.
        self._room = _TURN
        self._blocked = False
        #: Octets beside data that were added while the transport took none.
        self.unfetched = 0
        self._first_block = True
        #: Streams whose data wait, in the order of their turns.
        self._waiting: dict[Stream, None] = {}
        self.window = FIRST_WINDOW
        self.stream_window = FIRST_WINDOW
        self.frame_size = FRAME_SIZE

    def take(self) -> bytes:
        """What is to be written now."""
        out = self._out
        self._out = []
        if not self._blocked:
            self._room = _TURN
        return b"".join(out)

    def block(self) -> None:
        """The transport takes no more: data wait in their streams from now on, and services are made to wait."""
        self._blocked = True
        self._room = 0

    def unblock(self) -> None:
        """It does again."""
        self._blocked = False
        self._room = _TURN
        self.unfetched = 0
        self.go_on()

    def control(self, octets: bytes) -> None:
        """A frame that no window holds back."""
        if not self._out:
            self._wake()
        if self._blocked:
            self.unfetched += len(octets)
        self._out.append(octets)

    def head(self, stream: Stream, block: bytes, *, ended: bool) -> None:
        """A header block."""
        self.answer(stream.id, block, ended=ended)
        if ended:
            stream.end(Side.LOCAL)

    def answer(self, stream_id: int, block: bytes, *, ended: bool = True) -> None:
        """The same where there is no stream, or there shall be none."""
        if self._first_block:
            self._first_block = False
            block = NO_TABLE + block
        self.control(header_frames(stream_id, block, self.frame_size, end=ended))

    def whole(self, stream: Stream, block: bytes, data: bytes) -> bool:
        """A head with all of its body at once, if windows let it: the common case, done in one step. Else False."""
        size = len(data)
        if size > self.window or size > stream.send_window or size > self.frame_size or size > self._room:
            return False
        self.answer(stream.id, block, ended=False)
        self._emit(stream, data, b"")
        return True

    def data(self, stream: Stream, data: bytes, tail: bytes | None) -> None:
        """`tail`: None where more follows; b"" at the end; a block of trailers behind the end."""
        size = len(data)
        if stream.outbox is None and (
            not size
            or (size <= self.window and size <= stream.send_window and size <= self.frame_size and size <= self._room)
        ):
            self._emit(stream, data, tail)
            return
        if stream.outbox is None:
            stream.outbox = collections.deque()
        if data:
            # a view: it is cut again and again, and nothing of it is copied
            stream.outbox.append(memoryview(data))
            stream.outbox_size += size
        stream.tail = tail
        self._waiting[stream] = None
        self._turn(stream, MOST)
        if stream.outbox_size > self._limits.answer_high and not stream.paused:
            stream.paused = True
            stream.answer_waits()

    def credit(self, stream: Stream | None, octets: int) -> bool:
        """WINDOW_UPDATE came, for the connection (None) or a stream. False: the window is larger than any may be."""
        if stream is None:
            self.window += octets
            if self.window > MOST:
                return False
            self.go_on()
            return True
        stream.send_window += octets
        if stream.send_window > MOST:
            return False
        if stream.outbox is not None:
            self._turn(stream, MOST)
        return True

    def resize(self, streams: list[Stream], size: int) -> bool:
        """SETTINGS_INITIAL_WINDOW_SIZE changed, and with it all windows (section 6.9.2). False as in `credit`."""
        change = size - self.stream_window
        self.stream_window = size
        return all(self.credit(stream, change) for stream in streams)

    def resize_frames(self, size: int) -> None:
        """SETTINGS_MAX_FRAME_SIZE changed."""
        self.frame_size = min(size, _LONGEST_FRAME)

    @property
    def can_go_on(self) -> bool:
        """Whether a stream waits for nothing but its turn."""
        return self._room > 0 and self.window > 0 and any(stream.send_window > 0 for stream in self._waiting)

    def go_on(self) -> None:
        """Every stream that waits has a turn, as far as windows and transport go."""
        for stream in list(self._waiting):
            if self._room <= 0 or self.window <= 0:
                break
            # who had a turn stands at the end of the queue then
            if self._waiting.pop(stream, self) is None:
                self._waiting[stream] = None
                self._turn(stream, self.frame_size)

    def forget(self, stream: Stream) -> None:
        """It is closed, or nothing of it waits any more."""
        if stream.outbox is not None:
            stream.outbox = None
            stream.outbox_size = 0
            self._waiting.pop(stream, None)

    def _turn(self, stream: Stream, most: int) -> None:
        """Sends up to `most` octets of what waits in a stream."""
        box = stream.outbox
        while box and most > 0:
            room = min(self.frame_size, self.window, stream.send_window, self._room)
            if room <= 0:
                break
            data = box.popleft()
            if len(data) > room:
                box.appendleft(data[room:])
                data = data[:room]
            size = len(data)
            most -= size
            stream.outbox_size -= size
            if not box:
                self.forget(stream)
            self._emit(stream, data, None if box else stream.tail)
        if stream.paused and stream.outbox_size <= self._limits.answer_low:
            stream.paused = False
            stream.answer_flows()

    def _emit(self, stream: Stream, data: bytes | memoryview, tail: bytes | None) -> None:
        size = len(data)
        self.window -= size
        self._room -= size
        stream.send_window -= size
        if not self._out:
            self._wake()
        flags = END_STREAM if tail == b"" else 0
        if size or flags:
            self._out.append(pack_head(size >> 8, size & 0xFF, DATA, flags, stream.id))
            self._out.append(data)
        if tail:
            self.head(stream, tail, ended=True)
        elif flags:
            stream.end(Side.LOCAL)
