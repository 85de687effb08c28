"""Decodes header blocks (RFC 7541): one decoder for each connection, as the table belongs to it."""

from __future__ import annotations

import collections
from typing import Final

from hpack.table import HeaderTable

from proxy_addons.front import hpack_huffman

Field = tuple[bytes, bytes]

STATIC: Final[tuple[Field, ...]] = tuple((bytes(name), bytes(value)) for name, value in HeaderTable.STATIC_TABLE)
_LAST_STATIC: Final = len(STATIC)
_FIRST_DYNAMIC: Final = _LAST_STATIC + 1
#: What an entry costs beside its octets (RFC 7541, section 4.1).
ENTRY: Final = 32
#: A field and what it costs.
_Entry = tuple[Field, int]
#: By index: the table begins with 1.
_STATIC: Final[list[_Entry]] = [((b"", b""), 0), *((field, len(field[0]) + len(field[1]) + ENTRY) for field in STATIC)]
#: RFC 9113, section 6.5.2: SETTINGS_HEADER_TABLE_SIZE, until told otherwise. We tell nobody otherwise.
TABLE_SIZE: Final = 4096
#: An integer of more than 28 + 7 bits is no length that we would take.
_MOST_SHIFT: Final = 28


class HeaderDecoder:
    """Header blocks in, fields out, in the order of the connection."""

    __slots__ = ("_dynamic", "_list_limit", "_most", "_size")

    def __init__(self, list_limit: int) -> None:
        """`list_limit`: bytes of a header list (RFC 9113, section 6.5.2: names, values and 32 for each field)."""
        self._dynamic: collections.deque[_Entry] = collections.deque()
        self._size = 0
        self._most = TABLE_SIZE
        self._list_limit = list_limit

    def decode(self, block: bytes) -> list[Field] | None:
        """The fields; None where their list is larger than the limit (the table is up to date all the same).

        ValueError: the block is none, and the connection's table is lost with it (COMPRESSION_ERROR).
        """
        fields: list[Field] = []
        try:
            left = self._decode(block, fields)
        except IndexError:
            raise ValueError("a header block ends within a field, or names an entry that is not there") from None
        return fields if left >= 0 else None

    def _decode(self, block: bytes, fields: list[Field]) -> int:
        """Returns what is left of the limit, below 0 for what is beyond it."""
        append = fields.append
        dynamic = self._dynamic
        left = self._list_limit
        at, end = 0, len(block)
        if end and block[0] & 0xE0 == 0x20:  # noqa: PLR2004 - the pattern 001 of section 6.3
            at = self._resize(block)
        while at < end:
            byte = block[at]
            at += 1
            if byte & 0x80:  # 6.1: indexed
                index = byte & 0x7F
                if index == 0x7F:  # noqa: PLR2004 - all of its prefix's bits
                    index, at = _integer(block, at, index)
                if not index:
                    raise ValueError("an indexed field without an index")
                field, size = _STATIC[index] if index <= _LAST_STATIC else dynamic[index - _FIRST_DYNAMIC]
            else:
                field, size, at = self._literal(block, at, byte)
            # A block of 16 KB can name a 4 KB entry 16,000 times (the HPACK bomb): here it is one field all the time.
            left -= size
            append(field)
        return left

    def _literal(self, block: bytes, at: int, byte: int) -> tuple[Field, int, int]:
        indexing = byte & 0x40
        if byte & 0xE0 == 0x20:  # noqa: PLR2004 - the pattern 001 of section 6.3
            raise ValueError("a table size update behind a field")
        mask = 0x3F if indexing else 0x0F
        index = byte & mask
        if index == mask:
            index, at = _integer(block, at, index)
        if index:
            name = (_STATIC[index] if index <= _LAST_STATIC else self._dynamic[index - _FIRST_DYNAMIC])[0][0]
        else:
            name, at = _string(block, at)
        value, at = _string(block, at)
        field = (name, value)
        size = len(name) + len(value) + ENTRY
        if indexing:
            self._dynamic.appendleft((field, size))
            self._size += size
            if self._size > self._most:
                self._evict()
        return field, size, at

    def _resize(self, block: bytes) -> int:
        """Size updates stand at the beginning of a block only (RFC 7541, section 4.2). Returns where they end."""
        at = 0
        while at < len(block) and block[at] & 0xE0 == 0x20:  # noqa: PLR2004 - the pattern 001 of section 6.3
            size = block[at] & 0x1F
            at += 1
            if size == 0x1F:  # noqa: PLR2004 - all of its prefix's bits
                size, at = _integer(block, at, size)
            if size > TABLE_SIZE:
                raise ValueError("a table size update beyond the size that was agreed on")
            self._most = size
            self._evict()
        return at

    def _evict(self) -> None:
        while self._size > self._most:
            self._size -= self._dynamic.pop()[1]


def _integer(block: bytes, at: int, value: int) -> tuple[int, int]:
    """The rest of an integer whose prefix is full (section 5.1), and where it ends."""
    for shift in range(0, _MOST_SHIFT + 1, 7):
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the bit that says "more"
            return value, at
    raise ValueError("an integer of more than 35 bits")


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    """A string literal (section 5.2), and where it ends."""
    byte = block[at]
    at += 1
    length = byte & 0x7F
    if length == 0x7F:  # noqa: PLR2004 - all of its prefix's bits
        length, at = _integer(block, at, length)
    end = at + length
    if end > len(block):
        raise ValueError("a string ends behind its header block")
    text = block[at:end]
    return (hpack_huffman.decode(text) if byte & 0x80 else text), end
