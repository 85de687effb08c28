"""Frames that concern the connection, or do nothing (RFC 9113, sections 6.3 and 6.5 to 6.9)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from proxy_addons.front import h2_frame as wire
from proxy_addons.front.h2_error import ErrorCode, H2ConnectionError, H2StreamError

if TYPE_CHECKING:
    from proxy_addons.front.h2_connection import Connection

ENABLE_PUSH: Final = 0x2
MAX_CONCURRENT_STREAMS: Final = 0x3
INITIAL_WINDOW_SIZE: Final = 0x4
MAX_FRAME_SIZE: Final = 0x5
MAX_HEADER_LIST_SIZE: Final = 0x6
#: RFC 8441: WebSocket over a stream.
ENABLE_CONNECT_PROTOCOL: Final = 0x8

_LARGEST_FRAME: Final = 2**24 - 1
_PING_LENGTH: Final = 8
_PRIORITY_LENGTH: Final = 5
_GOAWAY_LENGTH: Final = 8


class Control:
    """The client's side of the agreement."""

    __slots__ = ("_connection", "greeted")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        #: Whether the client's SETTINGS came, which have to be its first frame (section 3.4).
        self.greeted = False

    def greeting(self) -> bytes:
        """Our SETTINGS."""
        limits = self._connection.limits
        return wire.settings(
            {
                MAX_CONCURRENT_STREAMS: limits.streams,
                INITIAL_WINDOW_SIZE: limits.stream_window,
                MAX_HEADER_LIST_SIZE: limits.header_list,
                ENABLE_CONNECT_PROTOCOL: 1,
            }
        )

    def greet(self, kind: int, flags: int) -> None:
        """Its first frame."""
        if kind != wire.SETTINGS or flags & wire.ACK:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        self.greeted = True

    def frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """One that is neither HEADERS nor DATA nor RST_STREAM."""
        if kind == wire.WINDOW_UPDATE:
            self._window_update(stream_id, payload)
            return
        self._connection.idle_frame()
        if kind == wire.SETTINGS:
            _on_connection(stream_id, "SETTINGS")
            self._settings(flags, payload)
        elif kind == wire.PING:
            _on_connection(stream_id, "PING")
            self._ping(flags, payload)
        elif kind == wire.GOAWAY:
            _on_connection(stream_id, "GOAWAY")
            _sized(len(payload) >= _GOAWAY_LENGTH, "GOAWAY")
            self._connection.retire_now()
        elif kind == wire.PRIORITY:
            # Ignored but for its form, as RFC 9113 wants it; it may come for a stream in any state.
            if not stream_id:
                raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "PRIORITY on stream 0")
            _sized(len(payload) == _PRIORITY_LENGTH, "PRIORITY")
        elif kind == wire.PUSH_PROMISE:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a client promised a push")

    def _settings(self, flags: int, payload: bytes) -> None:
        if flags & wire.ACK:
            _sized(not payload, "an acknowledgement of SETTINGS")
            return
        try:
            pairs = wire.pairs(payload)
        except struct.error:
            raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of a wrong length") from None
        for identifier, value in pairs:
            self._connection.idle_frame()  # each may change the windows of all streams, and a frame holds 2,730
            self._set(identifier, value)
        self._connection.sender.control(wire.frame(wire.SETTINGS, wire.ACK, 0))

    def _set(self, identifier: int, value: int) -> None:
        connection = self._connection
        if identifier == INITIAL_WINDOW_SIZE:
            streams = list(connection.streams.values())
            if value > wire.MOST or not connection.sender.resize(streams, value):
                raise H2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE is too large")
        elif identifier == MAX_FRAME_SIZE:
            if not wire.FRAME_SIZE <= value <= _LARGEST_FRAME:
                raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "SETTINGS_MAX_FRAME_SIZE is out of its range")
            connection.sender.resize_frames(value)
        elif identifier in {ENABLE_PUSH, ENABLE_CONNECT_PROTOCOL} and value > 1:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a setting that is 0 or 1 is neither")

    def _ping(self, flags: int, payload: bytes) -> None:
        _sized(len(payload) == _PING_LENGTH, "PING")
        if flags & wire.ACK:
            self._connection.ping_answered(payload)
        else:
            self._connection.sender.control(wire.frame(wire.PING, wire.ACK, 0, payload))

    def _window_update(self, stream_id: int, payload: bytes) -> None:
        _sized(len(payload) == wire.WORD_LENGTH, "WINDOW_UPDATE")
        octets = wire.word(payload)
        connection = self._connection
        if not stream_id:
            if not octets:
                raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE by 0")
            if not connection.sender.credit(None, octets):
                raise H2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "the connection's window is too large")
            return
        stream = connection.streams.get(stream_id)
        if stream is None:
            connection.not_open(stream_id, wire.WINDOW_UPDATE)
            connection.idle_frame()
        elif not octets:
            raise H2StreamError(stream_id, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE by 0")
        elif not connection.sender.credit(stream, octets):
            raise H2StreamError(stream_id, ErrorCode.FLOW_CONTROL_ERROR, "the stream's window is too large")


def _on_connection(stream_id: int, name: str) -> None:
    if stream_id:
        raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, f"{name} on a stream")


def _sized(right: bool, name: str) -> None:  # noqa: FBT001 - says what it is at each call
    if not right:
        raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, f"{name} of a wrong length")
