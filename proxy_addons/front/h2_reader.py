"""Cuts what a client sends into frames (RFC 9113, section 4), and joins header blocks that came in several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from proxy_addons.front.h2_error import ErrorCode, H2ConnectionError
from proxy_addons.front.h2_frame import (
    CONTINUATION,
    END_HEADERS,
    FRAME_SIZE,
    HEAD_LENGTH,
    HEADERS,
    MOST,
    PADDED,
    PREFACE,
    WITH_PRIORITY,
    unpack_head,
)
from proxy_addons.front.h2_limits import Limits

_PRIORITY_LENGTH: Final = 5
#: A block that has END_HEADERS alone of these is what most are: complete, and nothing has to be cut off.
_IN_PARTS: Final = END_HEADERS | PADDED | WITH_PRIORITY


class Frame(NamedTuple):
    """A frame of the client's; of HEADERS, the payload is the whole block, without padding and priority."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes


class FrameReader:
    """Bytes in, frames out. CONTINUATION never comes out."""

    __slots__ = ("_block", "_buffer", "_finished", "_flags", "_limits", "_preface", "_size", "_stream_id")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffer = b""
        self._preface = False
        self._finished = 0
        self._block: list[bytes] = []
        self._size = 0
        self._flags = 0
        self._stream_id = 0  # of the block that is not complete; else 0

    @property
    def unfinished(self) -> int:
        """What the client has begun and must complete soon: preface, frame or header block. Its number; 0 for none."""
        return self._finished + 1 if self._buffer or self._stream_id or not self._preface else 0

    def feed(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """The frames (`Frame`) that are complete now. H2ConnectionError ends the connection."""
        if self._buffer:
            data = self._buffer + data
        at, end = 0, len(data)
        if not self._preface:
            if not PREFACE.startswith(data[: len(PREFACE)]):
                raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "this is no HTTP/2 preface")
            if end < len(PREFACE):
                self._buffer = data
                return
            self._preface = True
            at = len(PREFACE)
        while end - at >= HEAD_LENGTH:
            high, low, kind, flags, stream_id = unpack_head(data, at)
            size = high << 8 | low
            if size > FRAME_SIZE:
                raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "a frame is longer than SETTINGS_MAX_FRAME_SIZE")
            start = at + HEAD_LENGTH
            if start + size > end:
                break
            at = start + size
            stream_id &= MOST
            payload = data[start:at]
            if self._stream_id or kind == CONTINUATION or (kind == HEADERS and flags & _IN_PARTS != END_HEADERS):
                if self._joined(kind, flags, stream_id, payload):
                    self._finished += 1
                    yield HEADERS, self._flags, stream_id, b"".join(self._block)
            else:
                self._finished += 1
                yield kind, flags, stream_id, payload
        self._buffer = data[at:]

    def _joined(self, kind: int, flags: int, stream_id: int, payload: bytes) -> bool:
        """Whether the header block is complete with this frame (section 6.10)."""
        if kind == HEADERS and not self._stream_id:
            self._block = [_fragment(flags, payload)]
            self._flags = flags
            self._size = 0
            if not stream_id:
                raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "HEADERS on stream 0")
        elif kind == CONTINUATION and stream_id and self._stream_id == stream_id:
            self._block.append(payload)
        else:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a header block is not continued where it was begun")
        self._size += len(payload)
        if self._size > self._limits.header_block or len(self._block) > self._limits.header_frames:
            raise H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "a header block has no end")
        self._stream_id = 0 if flags & END_HEADERS else stream_id
        return not self._stream_id


def _fragment(flags: int, payload: bytes) -> bytes:
    """A HEADERS payload without padding and priority (section 6.2). Priority is ignored, as RFC 9113 wants it."""
    if flags & PADDED:
        payload = unpadded(payload)
    if flags & WITH_PRIORITY:
        if len(payload) < _PRIORITY_LENGTH:
            raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "HEADERS are too short for their priority")
        payload = payload[_PRIORITY_LENGTH:]
    return payload


def unpadded(payload: bytes) -> bytes:
    """What is between the length of the padding and the padding (section 6.1)."""
    if not payload:
        raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "a padded frame without a length of its padding")
    end = len(payload) - payload[0]
    if end < 1:
        raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "padding is longer than its frame")
    return payload[1:end]
