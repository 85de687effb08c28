"""What text is on a terminal: how wide, cut to what room there is, and without what a terminal would obey."""

from __future__ import annotations

import re
import unicodedata

#: Control characters, and those that turn the direction of text.
_COMMANDS = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """The same, where every character is shown and none is obeyed."""
    return _COMMANDS.sub("\ufffd", text)


def width(text: str) -> int:
    """Its columns: two for what is wide in East Asia (UAX 11), none for what combines with the character before."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def padded(text: str, columns: int) -> str:
    """With spaces behind it, so that it takes so many columns."""
    return text + " " * (columns - width(text))


def cut(text: str, columns: int) -> str:
    """At most so many columns of it; "…" tells that there is more."""
    if width(text) <= columns:
        return text
    kept, room = 0, columns - 1
    while kept < len(text) and (room := room - _columns(text[kept])) >= 0:
        kept += 1
    return text[:kept] + "…"


def _columns(character: str) -> int:
    if unicodedata.combining(character) or character in "\u200b\u200d\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
