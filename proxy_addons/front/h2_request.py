"""Checks a request's fields by RFC 9113, section 8, so that nothing ambiguous is ever put into HTTP/1.1's words.

What is refused here is a malformed request (section 8.1.1): its stream ends with PROTOCOL_ERROR.
"""

from __future__ import annotations

import enum
import re
from typing import Final, NamedTuple

from proxy_addons.front.exchange import Field
from proxy_addons.front.hpack_encoder import CONNECTION_SPECIFIC
from proxy_addons.front.policy import MANAGED

#: Lower case only (section 8.2.1), else as RFC 9110, section 5.6.2.
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_METHOD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_METHODS: Final = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT"))
_SCHEMES: Final = frozenset((b"https", b"http"))
#: No control characters but HTAB, and no white space at its ends (section 8.2.1; RFC 9110, section 5.5).
_VALUE: Final = re.compile(rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
#: What a URL's authority has (RFC 3986, section 3.2.2) without user information, which section 8.3.1 forbids; and
#: octets of names that are not ASCII.
_AUTHORITY: Final = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]\x80-\xff-]+")
#: No white space, no control characters, no fragment.
_TARGET: Final = re.compile(rb"/[!\"$-~\x80-\xff]*")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
#: Fields of one message's framing or routing are no business of its trailers (RFC 9110, section 6.5.1).
_NO_TRAILERS: Final = frozenset((b"content-length", b"host", b"te"))

#: What is put together from several fields, or checked, and goes on.
_KEPT: Final = (b"cookie", b"content-length")
_NO_HOST: Final = (b"host", b"")

_MOST_PLAIN: Final = 4096
_LONGEST_PLAIN: Final = 1024
#: Fields that were found in order and mean nothing to us, with their line in HTTP/1.1: browsers send the same dozen
#: every time.
_plain: dict[Field, bytes] = {}


class _Kind(enum.IntEnum):
    PLAIN = 0
    PSEUDO = 1
    COOKIE = 2
    HOST = 3
    LENGTH = 4
    TE = 5


_KINDS: Final[dict[bytes, _Kind]] = {
    b":method": _Kind.PSEUDO,
    b":scheme": _Kind.PSEUDO,
    b":authority": _Kind.PSEUDO,
    b":path": _Kind.PSEUDO,
    b":protocol": _Kind.PSEUDO,
    b"cookie": _Kind.COOKIE,
    b"host": _Kind.HOST,
    b"content-length": _Kind.LENGTH,
    b"te": _Kind.TE,
}


class Head(NamedTuple):
    """A request's head that keeps the rules."""

    method: bytes
    #: As in HTTP/1.1: a path, ``*``, or for a CONNECT without `protocol` ``host:port``.
    target: bytes
    host: bytes
    #: RFC 8441's ``:protocol``, or b"".
    protocol: bytes
    #: Begins with Host; cookies are joined, ``te`` is gone.
    fields: list[Field]
    #: The lines of all fields but Host, as in HTTP/1.1.
    lines: bytes
    #: Whether none of the fields is `policy.MANAGED`.
    plain: bool
    #: Content-Length, or None.
    length: int | None


def read_head(fields: list[Field], *, ended: bool) -> Head:
    """A request's head; `ended`: no body follows. ValueError says what is wrong."""
    pseudo: dict[bytes, bytes] = {}
    special: dict[bytes, bytes] = {}
    kept = [_NO_HOST]
    lines: list[bytes] = []
    plain = True
    for field in fields:
        line = _plain.get(field)
        if line is None:
            kind = _KINDS.get(field[0], _Kind.PLAIN)
            if kind == _Kind.PSEUDO:
                if field[0] in pseudo or lines or special:
                    raise ValueError(f"{field[0]!r} comes twice, or behind a field that is no pseudo-field")
                pseudo[field[0]] = field[1]
                continue
            if kind != _Kind.PLAIN:
                _gather(special, kind, field)
                continue
            plain = plain and field[0] not in MANAGED
            line = _check(field)
        kept.append(field)
        lines.append(line)
    host, length = _host(pseudo.get(b":authority"), special), None
    kept[0] = (b"host", host)
    for name in _KEPT:
        if name in special:
            kept.append((name, special[name]))
            lines.append(b"%b: %b\r\n" % (name, special[name]))
    if b"content-length" in special:
        length = int(special[b"content-length"])
        if ended and length:
            raise ValueError("a Content-Length without a body")
    method, target, protocol = _control(pseudo, host)
    return Head(method, target, host, protocol, kept, b"".join(lines), plain, length)


def check_trailers(fields: list[Field]) -> None:
    """ValueError: they can't be trailers."""
    for field in fields:
        if field[0] in _NO_TRAILERS:
            raise ValueError(f"{field[0]!r} among the trailers")
        _check(field)


def _check(field: Field) -> bytes:
    """Of a field that has no meaning here: that it is one. Its line in HTTP/1.1."""
    name, value = field
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no field name in lower case")
    if name in CONNECTION_SPECIFIC:
        raise ValueError(f"{name!r} belongs to HTTP/1")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"the value of {name!r} has control characters, or white space at its ends")
    line = b"%b: %b\r\n" % field
    if len(line) <= _LONGEST_PLAIN and name not in MANAGED:
        if len(_plain) >= _MOST_PLAIN:
            _plain.clear()
        _plain[field] = line
    return line


def _gather(special: dict[bytes, bytes], kind: _Kind, field: Field) -> None:
    """Adds a field that may come once, or must be joined."""
    name, value = field
    if not _VALUE.fullmatch(value):
        raise ValueError(f"the value of {name!r} has control characters, or white space at its ends")
    if kind == _Kind.COOKIE:
        # section 8.2.3: crumbs make one field in HTTP/1.1
        special[name] = special[name] + b"; " + value if name in special else value
        return
    if name in special:
        raise ValueError(f"{name!r} comes twice")
    if kind == _Kind.LENGTH and not _LENGTH.fullmatch(value):
        raise ValueError(f"{value!r} is no Content-Length")
    if kind == _Kind.TE and value.lower() != b"trailers":
        raise ValueError("TE other than trailers")
    special[name] = value


def _host(authority: bytes | None, special: dict[bytes, bytes]) -> bytes:
    """``:authority`` and Host are one and the same where there are both (section 8.3.1)."""
    host = special.get(b"host")
    if authority is None:
        authority = host
    elif host is not None and host.lower() != authority.lower():
        raise ValueError("Host is not :authority")
    if authority is None or not _AUTHORITY.fullmatch(authority):
        raise ValueError(f"{authority!r} is no authority")
    return authority


def _control(pseudo: dict[bytes, bytes], host: bytes) -> tuple[bytes, bytes, bytes]:
    """Method, target and protocol (section 8.3.1, 8.5; RFC 8441, section 4)."""
    method = pseudo.get(b":method", b"")
    target, scheme, protocol = pseudo.get(b":path"), pseudo.get(b":scheme"), pseudo.get(b":protocol")
    if method not in _METHODS and not _METHOD.fullmatch(method):
        raise ValueError(f"{method!r} is no method")
    if protocol is not None and (method != b"CONNECT" or not _NAME.fullmatch(protocol.lower())):
        raise ValueError(f":protocol {protocol!r} with {method!r}")
    if method == b"CONNECT" and protocol is None:
        if target is not None or scheme is not None or b":authority" not in pseudo:
            raise ValueError("CONNECT has an :authority, and neither :scheme nor :path")
        return method, host, b""
    # The scheme is the connection's, whatever is said here; other ones have no HTTP/1.1 form at all.
    if scheme not in _SCHEMES:
        raise ValueError(f":scheme {scheme!r}")
    if target is None or not (_TARGET.fullmatch(target) or (target == b"*" and method == b"OPTIONS")):
        raise ValueError(f":path {target!r}")
    return method, target, (protocol or b"").lower()
