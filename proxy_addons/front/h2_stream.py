"""One stream of a connection: where it is in its life (RFC 9113, section 5.1), and what may still go over it."""

from __future__ import annotations

import collections
import enum
from typing import TYPE_CHECKING, Final

from proxy_addons.front.h2_error import ErrorCode, H2StreamError
from proxy_addons.front.h2_request import Head

if TYPE_CHECKING:
    from proxy_addons.front.exchange import Field
    from proxy_addons.front.h2_connection import Connection


class State(enum.IntEnum):
    """Section 5.1, of a stream that a client opened. Idle is who is not there yet."""

    OPEN = 0
    HALF_CLOSED_REMOTE = 1
    HALF_CLOSED_LOCAL = 2
    CLOSED = 3


class Side(enum.IntEnum):
    """Who ended it."""

    REMOTE = State.HALF_CLOSED_REMOTE
    LOCAL = State.HALF_CLOSED_LOCAL
    BOTH = State.CLOSED


_STATES: Final = tuple(State)


class Stream:
    """Keeps states and windows, and is told what the client did: subclasses answer.

    `send_head`, `send_data`, `send_trailers`, `reset` do nothing on a stream that is closed: the client may have gone
    at any moment, and that is nobody's mistake.
    """

    __slots__ = (
        "connection",
        "declared",
        "held",
        "id",
        "outbox",
        "outbox_size",
        "paused",
        "receive_window",
        "send_window",
        "state",
        "tail",
        "tunnel",
        "unreturned",
    )

    def __init__(self, connection: Connection, stream_id: int, send_window: int, receive_window: int) -> None:
        self.connection = connection
        self.id = stream_id
        self.state = State.OPEN
        self.send_window = send_window
        self.receive_window = receive_window
        #: Octets that came and were not given back as credit.
        self.unreturned = 0
        #: Whether credit is kept back, so that the client waits.
        self.held = False
        #: Octets of the request's body that were declared and have not come; None: nothing was declared.
        self.declared: int | None = None
        #: Data that a window does not let go yet, and what ends it: None (no end), b"" or a block of trailers.
        self.outbox: collections.deque[memoryview] | None = None
        self.outbox_size = 0
        self.tail: bytes | None = None
        self.paused = False
        #: Whether both directions end on their own: what goes over it is no request and answer.
        self.tunnel = False

    # -- what the client did

    def request_received(self, head: Head, *, ended: bool) -> None:
        """A request; its body follows unless `ended`."""
        raise NotImplementedError

    def data_received(self, data: bytes, *, ended: bool) -> None:
        """More of its body."""
        raise NotImplementedError

    def trailers_received(self, fields: list[Field]) -> None:
        """The end of its body, with trailers."""
        raise NotImplementedError

    def gone(self) -> None:
        """The client wants no more of it, by RST_STREAM or with its connection, or broke the rules on it."""
        raise NotImplementedError

    def answer_waits(self) -> None:
        """Enough data wait for the client."""
        raise NotImplementedError

    def answer_flows(self) -> None:
        """They wait no more."""
        raise NotImplementedError

    # -- what is answered

    def send_head(self, block: bytes, *, ended: bool) -> None:
        """A head, encoded: the final one, or an interim one (never `ended`)."""
        if self.state != State.CLOSED:
            self.connection.sender.head(self, block, ended=ended)

    def send_whole(self, block: bytes, data: bytes) -> None:
        """A head, encoded, and all of its body."""
        if self.state != State.CLOSED and not self.connection.sender.whole(self, block, data):
            self.send_head(block, ended=False)
            self.send_data(data, ended=True)

    def send_data(self, data: bytes, *, ended: bool) -> None:
        """More of the answer's body."""
        if self.state != State.CLOSED:
            self.connection.sender.data(self, data, b"" if ended else None)

    def send_trailers(self, block: bytes) -> None:
        """The end of the answer's body, with trailers, encoded."""
        if self.state != State.CLOSED:
            self.connection.sender.data(self, b"", block)

    def reset(self, code: ErrorCode) -> None:
        """Ends it at once, both ways."""
        if self.state != State.CLOSED:
            self.connection.reset(self, code)

    def hold(self) -> None:
        """The client shall send no more than its window allows, until `release`."""
        self.held = True

    def release(self) -> None:
        """It may go on."""
        self.held = False
        self.connection.credit.give_back(self)

    # -- its states

    def end(self, side: Side) -> None:
        """The only mover of `state`."""
        self.state = state = _STATES[self.state | side]
        if state == State.CLOSED:
            self.connection.closed(self)
        elif side == Side.LOCAL and not self.tunnel:
            # section 8.1: the answer is complete, and what is left of the request is of no interest
            self.connection.reset(self, ErrorCode.NO_ERROR)

    def expect_body(self, size: int, *, ended: bool) -> None:
        """Counts data against what Content-Length declared (section 8.1.1)."""
        if self.declared is not None:
            self.declared -= size
            if self.declared < 0 or (ended and self.declared):
                raise H2StreamError(self.id, ErrorCode.PROTOCOL_ERROR, "the body is not as long as its Content-Length")
