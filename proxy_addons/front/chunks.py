"""Chunked bodies (RFC 9112, section 7.1), read strictly: to be relayed as they stand, or without their framing."""

from __future__ import annotations

import re
from typing import Final

from proxy_addons.front.exchange import Field

#: Bytes of a chunk's line, extensions included; of all trailers together. Node ends at 16 KiB for both.
_LONGEST_LINE: Final = 4096
_LONGEST_TRAILERS: Final = 16 * 1024

# No space around the size, no sign, no 0x; at most 15 digits, so that no reader's integer is too small for it. An
# extension must not hold what another reader might take for the line's end.
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*+([\t\x20-\x7e\x80-\xff]*)")
# What frames or routes a message may not come after it (RFC 9110, section 6.5.1): who merged it would be misled.
_NO_TRAILERS: Final = frozenset({b"content-length", b"transfer-encoding", b"host"})

_SIZE, _DATA, _AFTER_DATA, _TRAILERS = range(4)


class Chunks:
    """Reads one body. Raises ``ValueError`` for what is no proper framing."""

    __slots__ = ("_left", "_line", "_state", "_trailers_size", "ended", "trailers")

    def __init__(self) -> None:
        self._state = _SIZE
        self._left = 0  # of the chunk's data, or of the line end behind it
        self._line = b""  # the beginning of a line whose end has not come
        self._trailers_size = 0
        self.ended = False
        self.trailers: list[Field] = []

    def read(self, data: bytes, pieces: list[bytes] | None = None) -> int:
        """Takes in `data`; the number of its bytes that belong to this body. Puts what they carry into `pieces`."""
        at, size = 0, len(data)
        while at < size and not self.ended:
            if self._state == _DATA:
                end = min(at + self._left, size)
                if pieces is not None:
                    pieces.append(data[at:end])
                self._left -= end - at
                at = end
                if not self._left:
                    self._state, self._left = _AFTER_DATA, 2
            elif self._state == _AFTER_DATA:
                end = min(at + self._left, size)
                if data[at:end] != b"\r\n"[2 - self._left : 2 - self._left + end - at]:
                    raise ValueError("a chunk is longer than it says")
                self._left -= end - at
                at = end
                if not self._left:
                    self._state = _SIZE
            else:
                at = self._read_line(data, at)
        return at

    def _read_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at)
        line = self._line + data[at : end if end >= 0 else None]
        if len(line) > _LONGEST_LINE:
            raise ValueError("a line among the chunks is too long")
        if end < 0:
            self._line = line
            return len(data)
        self._line = b""
        if not line.endswith(b"\r"):
            raise ValueError("a line among the chunks does not end in CR LF")
        if self._state == _SIZE:
            self._size(line[:-1])
        else:
            self._trailer(line[:-1])
        return end + 1

    def _size(self, line: bytes) -> None:
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise ValueError("this is no size of a chunk")
        self._left = int(match[1], 16)
        self._state = _DATA if self._left else _TRAILERS

    def _trailer(self, line: bytes) -> None:
        if not line:
            self.ended = True
            return
        match = _TRAILER.fullmatch(line)
        self._trailers_size += len(line)
        if match is None or self._trailers_size > _LONGEST_TRAILERS:
            raise ValueError("this is no trailer, or there are too many")
        if match[1].lower() in _NO_TRAILERS:
            raise ValueError("this field may not be a trailer")
        self.trailers.append((match[1], match[2].rstrip(b" \t")))


def chunk(data: bytes) -> bytes:
    """`data` as one chunk; b"" for b"", which would be the last one."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def last_chunk(trailers: list[Field]) -> bytes:
    """The end of a chunked body."""
    return b"0\r\n" + b"".join(b"%b: %b\r\n" % field for field in trailers) + b"\r\n"
