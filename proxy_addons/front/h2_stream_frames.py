"""Frames of streams: HEADERS, DATA and RST_STREAM (RFC 9113, sections 6.1, 6.2 and 6.4), and what they do to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from proxy_addons.front import h2_frame as wire
from proxy_addons.front.h2_error import ErrorCode, H2ConnectionError, H2StreamError
from proxy_addons.front.h2_history import History
from proxy_addons.front.h2_reader import unpadded
from proxy_addons.front.h2_request import Head, check_trailers, read_head
from proxy_addons.front.h2_stream import Side, Stream
from proxy_addons.front.hpack_decoder import Field, HeaderDecoder
from proxy_addons.front.hpack_encoder import encode_head

if TYPE_CHECKING:
    from proxy_addons.front.h2_connection import Connection

#: For a head, on a connection, with an identifier and two windows: to send, to receive.
MakeStream = Callable[[Head, "Connection", int, int, int], Stream]

_TOO_LARGE: Final = encode_head(431, [(b"content-length", b"0"), (b"x-stores-route", b"fallback")])


class StreamFrames:
    """A client's requests, as far as frames carry them."""

    __slots__ = ("_connection", "_credit", "_decoder", "_history", "_limits", "_make_stream", "_sender", "_streams")

    def __init__(self, connection: Connection, history: History, make_stream: MakeStream) -> None:
        self._connection = connection
        self._history = history
        self._make_stream = make_stream
        # the connection's, kept here as well: each frame needs most of them
        self._limits, self._sender = connection.limits, connection.sender
        self._streams, self._credit = connection.streams, connection.credit
        self._decoder = HeaderDecoder(connection.limits.header_list)

    def headers(self, flags: int, stream_id: int, block: bytes) -> None:
        """The whole block: a request, or the trailers of one."""
        try:
            # also of a stream that is refused or ignored: the table is the connection's
            fields = self._decoder.decode(block)
        except ValueError as error:
            raise H2ConnectionError(ErrorCode.COMPRESSION_ERROR, str(error)) from error
        ended = bool(flags & wire.END_STREAM)
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._trailers(stream, fields, ended=ended)
        elif stream_id > self._history.last and stream_id & 1:
            self._open(stream_id, fields, ended=ended)
        else:
            self._connection.not_open(stream_id, wire.HEADERS)

    def _open(self, stream_id: int, fields: list[Field] | None, *, ended: bool) -> None:
        if self._connection.retired:
            return
        self._history.opened(stream_id)
        if len(self._streams) >= self._limits.streams:
            raise H2StreamError(stream_id, ErrorCode.REFUSED_STREAM, "more streams at once than was agreed on")
        if fields is None:
            self._sender.answer(stream_id, _TOO_LARGE)
            if not ended:
                self._connection.send_reset(stream_id, ErrorCode.NO_ERROR)
            return
        try:
            head = read_head(fields, ended=ended)
        except ValueError as error:
            raise H2StreamError(stream_id, ErrorCode.PROTOCOL_ERROR, str(error)) from error
        stream = self._make_stream(
            head, self._connection, stream_id, self._sender.stream_window, self._limits.stream_window
        )
        self._streams[stream_id] = stream
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

    def data(self, flags: int, stream_id: int, payload: bytes) -> None:
        """More of a request's body."""
        size = len(payload)
        stream = self._streams.get(stream_id)
        if stream is None:
            self._connection.not_open(stream_id, wire.DATA)
        self._credit.take(size)
        if stream is None:
            return
        if stream.state & Side.REMOTE:
            raise H2StreamError(stream_id, ErrorCode.STREAM_CLOSED, "DATA behind the end of a stream")
        self._credit.take_of(stream, size)
        if flags & wire.PADDED:
            payload = unpadded(payload)
        ended = bool(flags & wire.END_STREAM)
        if not payload and not ended:
            self._connection.idle_frame()
        stream.expect_body(len(payload), ended=ended)
        if ended:
            stream.end(Side.REMOTE)
        stream.data_received(payload, ended=ended)
        if not ended:
            self._credit.give_back(stream)

    def rst_stream(self, stream_id: int, payload: bytes) -> None:
        """The client takes a request back."""
        if len(payload) != wire.WORD_LENGTH:
            raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM has four octets")
        stream = self._streams.get(stream_id)
        if stream is None:
            self._connection.not_open(stream_id, wire.RST_STREAM)
            self._connection.idle_frame()
            return
        self._connection.lose(stream)
        self._connection.count_reset()
