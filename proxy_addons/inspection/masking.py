"""Puts ``***`` where a secret stands: in headers, URLs and texts. By what things are called, and by JWTs' look.

What is called by no such name is not known to be secret: docs/inspection.md says so.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import unquote_plus

MASK: Final = "***"

#: A word of a name, in headers, parameters, members and form fields alike.
_WORDS: Final = (
    r"access[_-]?key|api[_-]?key|apikey|assertion|auth|authorization|client[_-]?secret|credentials?|csrf|jwt|otp|passcode"
    r"|passphrase|passw(?:or)?d|pin|private[_-]?key|pwd|secret|session(?:[_-]?id)?|sid|sig|signature|tokens?|userinfo|xsrf"
)
_SECRET_NAME: Final = re.compile(rf"(?:^|[^a-z])(?:{_WORDS})(?:$|[^a-z])")
#: Where such a word is a part of a longer one: ``accessToken``, ``XSRF-TOKEN``.
_SECRET_TAIL: Final = re.compile(r"(?:token|secret|password|passwd|apikey|api_key|credential)s?$")
#: Of parameters alone: RFC 6749's code, SAML's two messages.
_PARAMETERS: Final = frozenset({"code", "key", "samlresponse", "samlrequest"})
#: Names that hold such a word, and no secret.
_HARMLESS: Final = frozenset(
    {"sec-websocket-key", "access-control-allow-credentials", "access-control-request-headers", "token_type"}
)
# Whoever sends a header or a body may look for the text that takes longest: each of these reads every character a few
# times at most, so none begins in the middle of what it has looked at, or looks ahead without a limit.
_COOKIE: Final = re.compile(r"(?<![^=;\s])([^=;\s]++)=([^;]*)")
_PARAMETER: Final = re.compile(r"(?<=[?&#;])([\w.\[\]%+-]{1,100})=([^&#;\s\"'<>]+)")
_USERINFO: Final = re.compile(r"(?<=://)[^/?#@\s\"']{1,500}(?=@)")
#: What a JWT may stand in, its dots included; the last part may be empty.
_RUN: Final = re.compile(r"[A-Za-z0-9_.-]{21,}+")
_JWT_BEGINS: Final = re.compile(r"eyJ[A-Za-z0-9_-]{8}")
_SHORTEST_PART: Final = 8
_MEMBER: Final = re.compile(r'"([^"\\]{1,100})"(\s*:\s*)("(?:[^"\\]|\\.)*"?|-?\d[\d.eE+-]*)')
_FORM: Final = re.compile(r"\A([\w.\[\]%+-]{1,100})=([^&\s]+)")
_PART: Final = re.compile(
    r'(name="([^"]{1,100})"[^\r\n]{0,1000}+\r\n(?:[^\r\n]{1,1000}+\r\n){0,8}+\r\n)(.*?)(?=\r\n--|\Z)', re.DOTALL
)
#: What no text stands in.
_OPAQUE: Final = ("image/", "audio/", "video/", "font/")


def is_secret(name: str) -> bool:
    """Whether what is called so is kept to oneself."""
    lower = name.lower()
    if lower in _HARMLESS:
        return False
    return bool(_SECRET_NAME.search(lower) or _SECRET_TAIL.search(lower))


def header(name: str, value: str, also: Collection[str] = ()) -> str:
    """A field's value. `also`: names in lower case whose values are secret here."""
    lower = name.lower()
    if lower in also:
        return MASK
    if lower in {"authorization", "proxy-authorization"}:
        scheme, space, _ = value.strip().partition(" ")
        return f"{scheme} {MASK}" if space else MASK
    if lower == "cookie":
        return _COOKIE.sub(rf"\1={MASK}", value)
    if lower == "set-cookie":
        cookie, semicolon, attributes = value.partition(";")
        return _COOKIE.sub(rf"\1={MASK}", cookie, count=1) + semicolon + attributes
    return MASK if is_secret(lower) else url(value)


def url(text: str) -> str:
    """A URL, or a text with URLs in it: passwords in front of hosts, parameters whose names say so, JWTs."""
    text = _USERINFO.sub(MASK, text)
    return _RUN.sub(_without_jwts, _PARAMETER.sub(_parameter, text))


def text(written: str) -> str:
    """A body: members of JSON, fields of forms, URLs and JWTs in anything."""
    written = _MEMBER.sub(_member, written)
    written = _PART.sub(lambda found: found[1] + (MASK if is_secret(found[2]) else found[3]), written)
    return url(_FORM.sub(_parameter, written))


def body(data: bytes, media_type: str) -> bytes:
    """The same for bytes of any kind: every byte that is no part of a secret stays what it was."""
    if not data or media_type.lower().startswith(_OPAQUE):
        return data
    return text(data.decode("latin-1")).encode("latin-1")


def _without_jwts(found: re.Match[str]) -> str:
    """Three parts, of which the first begins as every JSON object does in base64url."""
    parts, shown, at = found[0].split("."), [], 0
    while at < len(parts):
        begins = _JWT_BEGINS.search(parts[at]) if at + 2 < len(parts) else None
        if begins is not None and len(parts[at + 1]) >= _SHORTEST_PART:
            shown.append(parts[at][: begins.start()] + MASK)
            at += 3
        else:
            shown.append(parts[at])
            at += 1
    return ".".join(shown)


def _parameter(found: re.Match[str]) -> str:
    name = unquote_plus(found[1])
    return f"{found[1]}={MASK}" if is_secret(name) or name.lower() in _PARAMETERS else found[0]


def _member(found: re.Match[str]) -> str:
    counts = found[3][0] != '"' and found[1].lower().endswith("tokens")  # as language models do
    return f'"{found[1]}"{found[2]}"{MASK}"' if is_secret(found[1]) and not counts else found[0]
