"""Attribute values as HTTP header values (CloudEvents HTTP binding 1.0.2, section 3.1.3.2)."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

#: With its end, or the rest of a text in which it has none: looking for it from the next quote on would be in vain.
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)("?)')
_ESCAPED = re.compile(r"\\(.)")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
#: Space, double quote, percent, and all that is not printable ASCII.
_ENCODED = re.compile(r"[^\x21\x23\x24\x26-\x7e]")


def encode(value: str) -> str:
    """`value` percent-encoded, printable ASCII without spaces and quotes."""
    return _ENCODED.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), value)


def decode(raw: bytes) -> str:
    """The value behind a header's bytes. Raises ``ValueError`` for what is no encoding of any text."""
    if not raw.isascii():
        raise ValueError("has bytes beyond ASCII; percent-encode them as UTF-8")
    text = raw.decode("ascii").strip(" \t")
    # Senders of an older version of the binding quote instead of encoding; that has to be undone first.
    text = _QUOTED.sub(lambda match: _ESCAPED.sub(r"\1", match[1]) if match[2] else match[0], text)
    if "%" not in text:
        return text
    if _STRAY_PERCENT.search(text):
        raise ValueError("has a % that is not followed by two hexadecimal digits; write it as %25")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8 once it is percent-decoded") from error
