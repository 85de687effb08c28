"""How much the client may send: windows of the connection and of its streams, on our side (RFC 9113, section 5.2)."""

from __future__ import annotations

from proxy_addons.front.h2_error import ErrorCode, H2ConnectionError, H2StreamError
from proxy_addons.front.h2_frame import window_update
from proxy_addons.front.h2_limits import Limits
from proxy_addons.front.h2_sender import FIRST_WINDOW, Sender
from proxy_addons.front.h2_stream import State, Stream


class Credit:
    """A window is opened again when half of it was used: one frame for many."""

    __slots__ = ("_limits", "_owed", "_sender", "_streams", "_window")

    def __init__(self, limits: Limits, sender: Sender, streams: dict[int, Stream]) -> None:
        """`streams`: the connection's, as they come and go."""
        self._limits = limits
        self._sender = sender
        self._streams = streams
        self._window = limits.connection_window
        self._owed = 0

    def greeting(self) -> bytes:
        """Opens the connection's window, which no setting does."""
        return window_update(0, self._window - FIRST_WINDOW)

    def take(self, size: int) -> None:
        """Data of that size came, on whatever stream. Raises H2ConnectionError."""
        self._window -= size
        self._owed += size
        if self._window < 0:
            raise H2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "more data than the connection's window")
        self.settle()

    def take_of(self, stream: Stream, size: int) -> None:
        """They were of this stream. Raises H2StreamError."""
        stream.receive_window -= size
        stream.unreturned += size
        if stream.receive_window < 0:
            raise H2StreamError(stream.id, ErrorCode.FLOW_CONTROL_ERROR, "more data than the stream's window")

    def give_back(self, stream: Stream) -> None:
        """The service took what came, or may take it now."""
        if not stream.held and stream.unreturned >= self._limits.stream_window // 2 and stream.state != State.CLOSED:
            stream.receive_window += stream.unreturned
            self._sender.control(window_update(stream.id, stream.unreturned))
            stream.unreturned = 0
        self.settle()

    def settle(self) -> None:
        """Opens the connection's window, unless too much waits for slow services."""
        if self._owed >= self._limits.connection_window // 2 and self._waiting() <= self._limits.waiting:
            self._window += self._owed
            self._sender.control(window_update(0, self._owed))
            self._owed = 0

    def _waiting(self) -> int:
        return sum(stream.unreturned for stream in self._streams.values() if stream.held)
