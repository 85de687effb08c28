"""Frames of HTTP/2 on the wire (RFC 9113, sections 4.1 and 6): nine octets of head, then the payload."""

from __future__ import annotations

import struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_LENGTH: Final = 9

DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
WITH_PRIORITY: Final = 0x20

#: Window sizes, increments and stream identifiers have 31 bits.
MOST: Final = 2**31 - 1
#: SETTINGS_MAX_FRAME_SIZE until told otherwise, and its least value (section 6.5.2).
FRAME_SIZE: Final = 16384
#: Octets of RST_STREAM and WINDOW_UPDATE.
WORD_LENGTH: Final = 4

_HEAD: Final = struct.Struct(">HBBBL")
_WORD: Final = struct.Struct(">L")
_TWO_WORDS: Final = struct.Struct(">LL")
_SETTING: Final = struct.Struct(">HL")

pack_head = _HEAD.pack
unpack_head = _HEAD.unpack_from


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """One frame. Lengths are the caller's business."""
    size = len(payload)
    return pack_head(size >> 8, size & 0xFF, kind, flags, stream_id) + payload


def header_frames(stream_id: int, block: bytes, most: int, *, end: bool) -> bytes:
    """A header block, in as many frames as it takes with payloads of `most` octets."""
    flags = END_STREAM if end else 0
    size = len(block)
    if size <= most:
        return pack_head(size >> 8, size & 0xFF, HEADERS, flags | END_HEADERS, stream_id) + block
    frames = [frame(HEADERS, flags, stream_id, block[:most])]
    for start in range(most, len(block), most):
        last = END_HEADERS if start + most >= len(block) else 0
        frames.append(frame(CONTINUATION, last, stream_id, block[start : start + most]))
    return b"".join(frames)


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*pair) for pair in values.items()))


def rst_stream(stream_id: int, code: int) -> bytes:
    """Ends a stream at once."""
    return frame(RST_STREAM, 0, stream_id, _WORD.pack(code))


def window_update(stream_id: int, increment: int) -> bytes:
    """Lets the peer send so many octets more; stream 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream_id, _WORD.pack(increment))


def goaway(last_stream_id: int, code: int, reason: str = "") -> bytes:
    """Streams above `last_stream_id` were not and will not be looked at. `reason` is for who debugs it."""
    return frame(GOAWAY, 0, 0, _TWO_WORDS.pack(last_stream_id, code) + reason.encode())


def pairs(payload: bytes) -> list[tuple[int, int]]:
    """What a SETTINGS payload says: identifier and value. struct.error if it is no multiple of six octets."""
    return list(_SETTING.iter_unpack(payload))


def word(payload: bytes) -> int:
    """The 31 bits of a payload of four octets."""
    return int.from_bytes(payload, "big") & MOST
