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
#: Octets of one turn of all waiting streams: what is given to the transport before it is asked whether it takes more.
_TURN: Final = 256 * 1024


class Sender:
    """Frames in their order. `wake` is called when there is something to `take`, where there was nothing before."""

    __slots__ = ("_first_block", "_limits", "_out", "_waiting", "_wake", "blocked", "frame_size", "stream_window", "window")

    def __init__(self, limits: Limits, wake: Callable[[], None]) -> None:
        self._limits = limits
        self._wake = wake
        self._out: list[bytes] = []
        self._first_block = True
        #: Streams whose data wait, in the order of their turns.
        self._waiting: dict[Stream, None] = {}
        #: Whether the transport takes no more: data wait in their streams then.
        self.blocked = False
        self.window = FIRST_WINDOW
        self.stream_window = FIRST_WINDOW
        self.frame_size = FRAME_SIZE

    def take(self) -> bytes:
        """What is to be written now."""
        out = self._out
        self._out = []
        return out[0] if len(out) == 1 else b"".join(out)

    def control(self, octets: bytes) -> None:
        """A frame that no window holds back."""
        if not self._out:
            self._wake()
        self._out.append(octets)

    def head(self, stream: Stream, block: bytes, *, ended: bool) -> None:
        """A header block."""
        if self._first_block:
            self._first_block = False
            block = NO_TABLE + block
        self.control(header_frames(stream.id, block, self.frame_size, end=ended))
        if ended:
            stream.end(Side.LOCAL)

    def data(self, stream: Stream, data: bytes, tail: bytes | None) -> None:
        """`tail`: None where more follows; b"" at the end; a block of trailers behind the end."""
        size = len(data)
        if (
            stream.outbox is None
            and not self.blocked
            and size <= self.window
            and size <= stream.send_window
            and size <= self.frame_size
        ):
            self._emit(stream, data, tail)
            return
        if stream.outbox is None:
            stream.outbox = collections.deque()
        if data:
            stream.outbox.append(data)
            stream.outbox_size += size
        stream.tail = tail
        self._waiting[stream] = None
        if not self.blocked:
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
        if stream.outbox is not None and not self.blocked:
            self._turn(stream, MOST)
        return True

    def resize(self, streams: list[Stream], size: int) -> bool:
        """SETTINGS_INITIAL_WINDOW_SIZE changed, and with it all windows (section 6.9.2). False as in `credit`."""
        change = size - self.stream_window
        self.stream_window = size
        return all([self.credit(stream, change) for stream in streams])

    def resize_frames(self, size: int) -> None:
        """SETTINGS_MAX_FRAME_SIZE changed."""
        self.frame_size = min(size, _LONGEST_FRAME)

    def go_on(self) -> None:
        """Every stream that waits has its turn, as far as windows and transport go. Call again after each `take`."""
        left = _TURN
        for stream in list(self._waiting):
            if self.blocked or self.window <= 0 or left <= 0:
                break
            # who had a turn stands at the end of the queue
            if self._waiting.pop(stream, self) is None:
                self._waiting[stream] = None
                left -= self._turn(stream, self.frame_size)

    @property
    def can_go_on(self) -> bool:
        """Whether a stream waits for nothing but its turn."""
        return not self.blocked and self.window > 0 and any(stream.send_window > 0 for stream in self._waiting)

    def forget(self, stream: Stream) -> None:
        """It is closed: nothing waits any more."""
        if stream.outbox is not None:
            stream.outbox = None
            stream.outbox_size = 0
            self._waiting.pop(stream, None)

    def _turn(self, stream: Stream, most: int) -> int:
        """Sends up to `most` octets of what waits in a stream. Returns how many it were."""
        box, sent = stream.outbox, 0
        while box and sent < most:
            room = min(self.frame_size, self.window, stream.send_window)
            if room <= 0:
                break
            data = box.popleft()
            if len(data) > room:
                box.appendleft(data[room:])
                data = data[:room]
            sent += len(data)
            stream.outbox_size -= len(data)
            self._emit(stream, data, None if box else stream.tail)
        if not box and box is not None:
            self._emptied(stream, ended=bool(sent))
        if stream.paused and stream.outbox_size <= self._limits.answer_low:
            stream.paused = False
            stream.answer_flows()
        return sent

    def _emptied(self, stream: Stream, *, ended: bool) -> None:
        """Nothing waits any more, perhaps but the end itself."""
        tail, stream.tail = stream.tail, None
        self.forget(stream)
        if tail is not None and not ended:
            self._emit(stream, b"", tail)

    def _emit(self, stream: Stream, data: bytes, tail: bytes | None) -> None:
        size = len(data)
        self.window -= size
        stream.send_window -= size
        if not self._out:
            self._wake()
        if tail:
            if data:
                self._out.append(pack_head(size >> 8, size & 0xFF, DATA, 0, stream.id) + data)
            self.head(stream, tail, ended=True)
            return
        flags = 0 if tail is None else END_STREAM
        if data or flags:
            self._out.append(pack_head(size >> 8, size & 0xFF, DATA, flags, stream.id) + data)
        if flags:
            stream.end(Side.LOCAL)
