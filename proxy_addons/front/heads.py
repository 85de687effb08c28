"""What reading an HTTP/1 request's head and an answer's have in common.

llhttp parses; what it lets through, but what could be read in two ways, is refused by the readers.
"""

from __future__ import annotations

import re
from typing import Final

from proxy_addons.front.exchange import CHUNKED, Field

#: Bytes of a request's or an answer's head. nginx ends at 32 KiB, Node at 16: a cookie jar of localhost grows larger.
LONGEST_HEAD: Final = 64 * 1024
END: Final = b"\r\n\r\n"
VERSIONS: Final = frozenset((b"HTTP/1.1", b"HTTP/1.0"))
#: Every other line is a field's: the first and the empty one.
LINES_BESIDE_FIELDS: Final = 2
#: A line end that not every reader takes for one, or a first byte that begins no method.
_HOPELESS: Final = re.compile(rb"(?<!\r)\n|\A[^A-Za-z\r]|\A\r[^\n]")


def hopeless(data: bytes) -> bool:
    """Whether the beginning of a head can be no head, so that nobody waits for its end."""
    return _HOPELESS.search(data) is not None


def without(head: bytes, fields: list[Field]) -> bytes:
    """`head` without the lines of `fields`: far cheaper than to put it together again. b"" where one is not found."""
    for name, value in fields:
        left = head.replace(b"\r\n%b: %b\r\n" % (name, value), b"\r\n", 1)
        if len(left) == len(head):  # written with other spaces
            return b""
        head = left
    return head


def chunked(value: bytes, version: bytes = b"HTTP/1.1") -> int:
    """CHUNKED, the only transfer coding that is left in use. Raises ``ValueError`` for any other."""
    if value.rstrip(b" \t").lower() != b"chunked" or version != b"HTTP/1.1":
        raise ValueError("this transfer coding is not known")
    return CHUNKED
