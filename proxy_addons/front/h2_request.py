"""Checks a request's fields by RFC 9113, section 8, so that nothing ambiguous is ever put into HTTP/1.1's words.

What is refused here is a malformed request (section 8.1.1): its stream ends with PROTOCOL_ERROR.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from proxy_addons.front.exchange import Field
from proxy_addons.front.hpack_encoder import CONNECTION_SPECIFIC
from proxy_addons.front.policy import MANAGED

#: Lower case only (section 8.2.1), else as RFC 9110, section 5.6.2.
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
#: No control characters but HTAB, and no white space at its ends (section 8.2.1; RFC 9110, section 5.5).
_VALUE: Final = re.compile(rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
#: What a URL's authority has (RFC 3986, section 3.2.2) without user information, which section 8.3.1 forbids; and
#: octets of names that are not ASCII.
_AUTHORITY: Final = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]\x80-\xff-]+")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_PSEUDO: Final = {
    b":method": re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"),
    # the connection's is what counts, whatever is said here; other ones have no form in HTTP/1.1 at all
    b":scheme": re.compile(rb"https?"),
    b":authority": _AUTHORITY,
    # no white space, no control characters, no fragment
    b":path": re.compile(rb"/[!\"$-~\x80-\xff]*|\*"),
    b":protocol": re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"),
}
#: Fields that may come once only, or have to be joined.
_SPECIAL: Final = frozenset((b"cookie", b"host", b"content-length", b"te"))
#: Those of them that go on.
_KEPT: Final = (b"cookie", b"content-length")
_NO_HOST: Final = (b"host", b"")

_MOST_KNOWN: Final = 4096
_LONGEST_KNOWN: Final = 1024
#: What `_check` found: browsers send the same dozen fields with every request.
_known: dict[Field, bytes] = {}


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
    known = _known.get
    for field in fields:
        line = known(field)
        if line is None:
            line = _check(field)
            if line is None:
                _gather(special, field)
                continue
            plain = plain and field[0] not in MANAGED
        if line:
            kept.append(field)
            lines.append(line)
        elif field[0] in pseudo or lines or special:
            raise ValueError(f"{field[0]!r} comes twice, or behind a field that is no pseudo-field")
        else:
            pseudo[field[0]] = field[1]
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
    """ValueError: they can't be trailers. What frames or routes a message can't either (RFC 9110, section 6.5.1)."""
    for field in fields:
        if not _check(field):
            raise ValueError(f"{field[0]!r} among the trailers")


def _check(field: Field) -> bytes | None:
    """Its line in HTTP/1.1; b"" of a pseudo-field, None of one that `_gather` wants. ValueError: it is no field."""
    name, value = field
    pattern = _PSEUDO.get(name)
    if pattern is not None:
        if not pattern.fullmatch(value):
            raise ValueError(f"{name!r} cannot be {value!r}")
        line = b""
    elif name in _SPECIAL:
        return None
    else:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no field name in lower case")
        if name in CONNECTION_SPECIFIC:
            raise ValueError(f"{name!r} belongs to HTTP/1")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the value of {name!r} has control characters, or white space at its ends")
        line = b"%b: %b\r\n" % field
    if len(name) + len(value) <= _LONGEST_KNOWN and name != b":path" and name not in MANAGED:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[field] = line
    return line


def _gather(special: dict[bytes, bytes], field: Field) -> None:
    """Adds a field that may come once, or must be joined."""
    name, value = field
    if not _VALUE.fullmatch(value):
        raise ValueError(f"the value of {name!r} has control characters, or white space at its ends")
    if name == b"cookie":
        # section 8.2.3: crumbs make one field in HTTP/1.1
        special[name] = special[name] + b"; " + value if name in special else value
        return
    if name in special:
        raise ValueError(f"{name!r} comes twice")
    if name == b"content-length" and not _LENGTH.fullmatch(value):
        raise ValueError(f"{value!r} is no Content-Length")
    if name == b"te" and value.lower() != b"trailers":
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
    """Method, target and protocol (sections 8.3.1 and 8.5; RFC 8441, section 4)."""
    method, target = pseudo.get(b":method"), pseudo.get(b":path")
    if method is None:
        raise ValueError("there is no :method")
    if method == b"CONNECT" and b":protocol" not in pseudo:
        if target is not None or b":scheme" in pseudo or b":authority" not in pseudo:
            raise ValueError("CONNECT has an :authority, and neither :scheme nor :path")
        return method, host, b""
    if target is None or b":scheme" not in pseudo:
        raise ValueError("there is no :path, or no :scheme")
    if target == b"*" and method != b"OPTIONS":
        raise ValueError("the :path * is for OPTIONS")
    protocol = pseudo.get(b":protocol")
    if protocol is None:
        return method, target, b""
    if method != b"CONNECT":
        raise ValueError(":protocol is for CONNECT")
    return method, target, protocol.lower()
