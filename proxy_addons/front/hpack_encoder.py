"""Encodes the header blocks of answers (RFC 7541) without a dynamic table: on a loopback, octets cost less than state.

So an encoded field means the same on every connection, and is remembered: servers say the same few things again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from proxy_addons.front.hpack_decoder import STATIC, Field

#: Sets the size of our table to 0, once at the beginning of a connection's first block (section 6.3). A client that
#: lowers SETTINGS_HEADER_TABLE_SIZE has to be answered with an update otherwise (section 4.2).
NO_TABLE: Final = b"\x20"
#: Fields that concern the HTTP/1 connection they came on; HTTP/2 forbids them (RFC 9113, section 8.2.2).
CONNECTION_SPECIFIC: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: RFC 9113, section 8.2.1: what no value may contain.
_FORBIDDEN: Final = re.compile(rb"[\0\r\n]")
#: Statuses have three digits, and HTTP/2 has no 101 (RFC 9113, section 8.6).
_FIRST, _LAST, _SWITCHING = 100, 999, 101
_MOST_FIELDS: Final = 1024
_MOST_NAMES: Final = 1024
_LONGEST_FIELD: Final = 256


def _indexes() -> dict[bytes, int]:
    first: dict[bytes, int] = {}
    for index, (name, _) in enumerate(STATIC, start=1):
        first.setdefault(name, index)
    return first


_INDEX: Final = _indexes()
#: Statuses that have an entry of their own: one octet.
_STATUS: Final = {
    int(value): bytes((0x80 | at,)) for at, (name, value) in enumerate(STATIC, start=1) if name == b":status"
}
_fields: dict[Field, bytes] = {}
_names: dict[bytes, bytes] = {}


def encode_head(status: int, fields: Iterable[Field]) -> bytes:
    """A block that begins with ``:status``. Names may be in any case; connection-specific fields are left out.

    ValueError: a field that could not stand in an HTTP/2 header, or a status: a wrong length of it would shift all that
    follows, and the client could read no other stream's answer either.
    """
    if not _FIRST <= status <= _LAST or status == _SWITCHING:
        raise ValueError(f"{status} is no status")
    return (_STATUS.get(status) or b"\x08\x03%d" % status) + encode_fields(fields)


def encode_fields(fields: Iterable[Field]) -> bytes:
    """The same without a status, for trailers."""
    known = _fields.get
    return b"".join([known(field) or _encode(field) for field in fields])


def _encode(field: Field) -> bytes:
    name, value = field
    prefix = _names.get(name)
    if prefix is None:
        prefix = _prefix(name)
    if not prefix:
        return b""
    if _FORBIDDEN.search(value):
        raise ValueError(f"the value of {name!r} contains a control character")
    value = value.strip(b" \t")
    encoded = prefix + _length(len(value)) + value
    if len(encoded) <= _LONGEST_FIELD:
        if len(_fields) >= _MOST_FIELDS:
            _fields.clear()
        _fields[field] = encoded
    return encoded


def _prefix(name: bytes) -> bytes:
    """What stands before the value of a literal without indexing (section 6.2.2). Empty: the field is left out."""
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is no field name")
    lower = name.lower()
    index = _INDEX.get(lower)
    if lower in CONNECTION_SPECIFIC:
        prefix = b""
    elif index:
        prefix = _integer(index, 0x0F)
    else:
        prefix = b"\0" + _length(len(lower)) + lower
    if len(name) <= _LONGEST_FIELD:
        if len(_names) >= _MOST_NAMES:
            _names.clear()
        _names[name] = prefix
    return prefix


def _length(length: int) -> bytes:
    return bytes((length,)) if length < 0x7F else _integer(length, 0x7F)  # noqa: PLR2004 - a prefix of seven bits


def _integer(value: int, prefix: int) -> bytes:
    """Section 5.1; `prefix` is its full prefix."""
    if value < prefix:
        return bytes((value,))
    out = [prefix]
    value -= prefix
    while value > 0x7F:  # noqa: PLR2004 - seven bits an octet
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))
