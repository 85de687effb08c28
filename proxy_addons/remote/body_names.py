"""Translates the workspace's own URLs in a body that streams past, in all the spellings that HTML and scripts know.

Whole URLs only (``https://account.remote.example.com``, ``//account…``), never a bare name: that may be an e-mail
address, an audience or a key, and nobody can tell. Bytes in, bytes out, a few hundred of them kept in between.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import Final

from proxy_addons.remote.translate import Translation

#: In JSON a slash may be escaped (PHP does so by default), in scripts inside HTML written as its number, in HTML as an
#: entity (many template engines do), and in a URL that is a parameter of another one percent-encoded, once or twice.
_SLASH: Final = rb"(?:\\{0,4}/|%(?:25)?2[Ff]|\\{1,4}u002[Ff]|&#x2[Ff];|&#47;|&sol;)"
_COLON: Final = rb"(?::|%(?:25)?3[Aa]|\\{1,4}u003[Aa]|&#x3[Aa];|&#58;|&colon;)"
_LABEL: Final = rb"[A-Za-z0-9_-]++"
_URL: Final = re.compile(
    # without a scheme: not the slashes of another one's, and not in the middle of a path
    rb"(?:(?P<scheme>(?i:https?|wss?))(?P<colon>" + _COLON + rb")|(?<![A-Za-z0-9_:/.+;\\-]))"
    rb"(?P<slashes>" + _SLASH + rb"{2})"
    rb"(?P<host>" + _LABEL + rb"(?:\." + _LABEL + rb")*+)"
    rb"(?:(?P<port_colon>" + _COLON + rb")(?P<port>[0-9]{1,5}+))?+"
    # not the user of another host (``https://account.remote.example.com@elsewhere``), nor a longer name
    rb"(?![A-Za-z0-9_@-]|%40|\.[A-Za-z0-9_-]|:[A-Za-z0-9])"
)
#: What a URL up to its path is made of: a chunk that ends in such bytes may end in the middle of one.
_OF_URLS: Final = bytes(sorted({*b"-.:/\\%&#;_", *range(0x30, 0x3A), *range(0x41, 0x5B), *range(0x61, 0x7B)}))
#: Bytes in the longest URL up to its path: scheme, its colon, two slashes, a name of 253 bytes, a port.
_LONGEST: Final = 5 + 9 + 2 * 9 + 253 + 9 + 5 + 1
#: Bytes before a match that the expression looks at.
_BEFORE: Final = 1


class Names:
    """One body in which one byte is one ASCII character, whatever the others are, as in UTF-8 and Latin-1."""

    def __init__(self, translation: Translation) -> None:
        self._translation = translation
        self._kept = b""
        self._seen = 0

    def feed(self, data: bytes, *, ended: bool = False) -> bytes:
        """What can be sent on by now; what may be the beginning of a URL is kept until the next call."""
        text = self._kept + data
        cut = len(text) if ended else max(self._seen, len(text) - _open_end(text))
        out: list[bytes] = []
        at = self._seen
        for match in _URL.finditer(text, self._seen):
            if match.start() >= cut:
                break
            out += (text[at : match.start()], self._translated(match))
            at = match.end()
        end = max(at, cut)
        out.append(text[at:end])
        self._kept = text[max(0, end - _BEFORE) :]
        self._seen = min(end, _BEFORE)
        return b"".join(out)

    def _translated(self, match: re.Match[bytes]) -> bytes:
        scheme, host = (match["scheme"] or b"").decode(), match["host"].decode()
        port = f":{match['port'].decode()}" if match["port"] else ""
        there = f"{scheme}:" if scheme else ""
        there = f"{there}//{host}{port}"
        here = self._translation.to_local(there)
        if here == there:
            return match[0]
        prefix, _, authority = here.partition("//")
        colon: bytes = match["colon"] or match["port_colon"] or (b"%3A" if match["slashes"][:1] == b"%" else b":")
        new_scheme = prefix.removesuffix(":").encode() + (match["colon"] or b"") if scheme else b""
        return new_scheme + match["slashes"] + authority.encode().replace(b":", colon)


def _open_end(text: bytes) -> int:
    """The number of bytes at the end of `text` that a URL may have begun in."""
    end = text[-_LONGEST:]
    return len(end) - len(end.rstrip(_OF_URLS))


class WideNames:
    """One body in UTF-16, in which a name stands with a zero byte beside each of its letters."""

    def __init__(self, translation: Translation, codec: str) -> None:
        self._names = Names(translation)
        # surrogatepass: what is no proper text goes out as it came in
        self._decoder = codecs.getincrementaldecoder(codec)("surrogatepass")
        self._codec = codec

    def feed(self, data: bytes, *, ended: bool = False) -> bytes:
        """As `Names.feed`."""
        text = self._decoder.decode(data).encode("utf-8", "surrogatepass")
        odd = self._decoder.getstate()[0] if ended else b""
        out = self._names.feed(text, ended=ended).decode("utf-8", "surrogatepass")
        return out.encode(self._codec, "surrogatepass") + odd


#: WHATWG, Encoding Standard, section 4.2: what UTF-16 is called. Without an order of bytes it is little-endian.
_WIDE: Final = {
    **dict.fromkeys(("utf-16", "utf-16le", "csunicode", "iso-10646-ucs-2", "ucs-2", "unicode"), "utf-16-le"),
    **dict.fromkeys(("utf-16be", "unicodefffe"), "utf-16-be"),
}
_MARKS: Final = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def rewriting(translation: Translation, charset: str) -> Callable[[bytes, bool], bytes]:
    """A function for the pieces of one body, the second argument being whether it ends; `charset` may be empty.

    The first two bytes are waited for: a byte order mark is stronger than what the header says (Encoding Standard, 6).
    """
    names: Names | WideNames | None = None
    begin = b""

    def feed(data: bytes, ended: bool) -> bytes:  # noqa: FBT001 - called for every piece of a body
        nonlocal names, begin
        if names is None:
            begin += data
            if len(begin) < len(codecs.BOM_UTF16_LE) and not ended:
                return b""
            codec = _MARKS.get(begin[:2]) or _WIDE.get(charset.strip().strip('"').lower())
            names = WideNames(translation, codec) if codec else Names(translation)
            data = begin
        return names.feed(data, ended=ended)

    return feed
