"""A request's path in the one form by which it is routed: what two programs may read differently is refused.

The authorizer decides by the path that it sees. A service that decodes once more, or knows other separators, would then
do something that nobody has allowed (RFC 3986, section 7.3).
"""

from __future__ import annotations

import re
from typing import Final

from proxy_addons.problem import Code

_ESCAPE: Final = re.compile(r"%(?P<digits>[0-9A-Fa-f]{2})?")
_SLASHES: Final = frozenset("/\\")
_DOTS: Final = frozenset((".", ".."))
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]")
#: An encoded percent sign before what would be an escape of its own, once it is decoded.
_TWICE: Final = re.compile(r"%25[0-9A-Fa-f]{2}")
_FIRST_PRINTABLE, _DELETE = 0x20, 0x7F


class BadPathError(ValueError):
    """A path that is not routed. Its text is one sentence."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def normalize(path: str) -> str:
    """`path` (without query) with unreserved characters decoded and escapes in capitals. Raises `BadPathError`."""
    if not path.startswith("/"):
        raise BadPathError(Code.BAD_ENCODING, "the path does not begin with /")
    if "\\" in path:
        raise BadPathError(Code.ENCODED_SLASH, "\\ is a separator for some servers, and none for others")
    if "#" in path:
        raise BadPathError(Code.BAD_ENCODING, "# begins a fragment, which no request has: write it as %23")
    if _TWICE.search(path):
        raise BadPathError(Code.DOUBLE_ENCODING, "an escape is encoded once more (%25..)")
    path = _ESCAPE.sub(_decoded, path)
    for segment in path.split("/"):
        # Tomcat and others drop what follows a semicolon
        if segment.partition(";")[0] in _DOTS:
            raise BadPathError(Code.DOT_SEGMENT, f'"{segment}" would lead to another path')
    return path


def _decoded(match: re.Match[str]) -> str:
    if match["digits"] is None:
        raise BadPathError(Code.BAD_ENCODING, "% is not followed by two hexadecimal digits: write it as %25")
    number = int(match["digits"], 16)
    character = chr(number)
    if character in _SLASHES:
        raise BadPathError(Code.ENCODED_SLASH, f"{match[0]} is a separator for some servers, and none for others")
    if number < _FIRST_PRINTABLE or number == _DELETE:
        raise BadPathError(Code.BAD_ENCODING, f"{match[0]} is a control character")
    return character if _UNRESERVED.fullmatch(character) else match[0].upper()


def segments(path: str) -> tuple[str, ...]:
    """The segments of a normalized path. Several slashes count as one: many servers read them so."""
    return tuple(segment for segment in path.split("/") if segment)


def without_prefix(path: str, count: int) -> str:
    """The path without its first `count` segments; ``/`` where nothing is left."""
    at = 0
    for _ in range(count):
        while path[at : at + 1] == "/":
            at += 1
        slash = path.find("/", at)
        at = len(path) if slash < 0 else slash
    return path[at:] or "/"
