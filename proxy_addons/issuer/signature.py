"""JSON Web Signatures in their compact form (RFC 7515, section 7.1): PyJWT does the work, our keys alone count."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from proxy_addons.issuer.key import ALGORITHMS, Key
from proxy_addons.issuer.token_error import TokenError

if TYPE_CHECKING:
    from jwt import PyJWS

#: Bytes; a header of that size is refused by most servers anyway.
_LARGEST: Final = 16 * 1024
#: Exactly three parts of base64url without padding: Python's decoder would pass over what is none.
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")
#: Headers by which a token would bring its own key, or its own rules (RFC 7515, sections 4.1.2 to 4.1.6 and 4.1.11).
_BROUGHT: Final = ("jku", "jwk", "x5u", "x5c", "crit", "b64")


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a token says, before anybody knows whether it is true."""

    header: Mapping[str, Any]
    payload: bytes

    def claims(self) -> dict[str, Any]:
        """The payload as JSON. Raises `TokenError` (`malformed`) where it is no object."""
        try:
            found = json.loads(self.payload)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise TokenError("malformed", "its payload is no JSON object")
        return found


def sign(payload: bytes, key: Key, header: Mapping[str, str]) -> str:
    """The token. `header` is the whole of it but ``alg``."""
    # an empty type keeps PyJWT from writing its own
    return _jws().encode(payload, key.secret, key.alg, {"typ": "", **header})


def read(token: str) -> Claimed:
    """What `token` says. Raises `TokenError` (`malformed`)."""
    from jwt.exceptions import PyJWTError  # noqa: PLC0415 - see `key`

    if len(token) > _LARGEST:
        raise TokenError("malformed", f"it is longer than {_LARGEST} bytes")
    if not _COMPACT.fullmatch(token):
        raise TokenError("malformed", "it has not three parts of base64url")
    try:
        parts = _jws().decode_complete(token, options={"verify_signature": False})
    except (PyJWTError, ValueError) as error:
        raise TokenError("malformed", str(error)) from error
    return Claimed(parts["header"], parts["payload"])


def verify(token: str, claimed: Claimed, find: Callable[[object], Key | None]) -> None:
    """Raises `TokenError` (`bad_signature`) unless one of our keys made `token`.

    The key is the one that `kid` names among ours, and its own algorithm is the only one that counts: so neither
    ``none`` nor an HMAC with the public key as its secret, nor a key that the token brings, can vouch for anything
    (RFC 8725, sections 2.1, 3.1 and 3.5).
    """
    from jwt.exceptions import PyJWTError  # noqa: PLC0415 - see `key`

    brought = [name for name in _BROUGHT if name in claimed.header]
    if brought:
        raise TokenError("bad_signature", f"its header has {', '.join(brought)}, and no token of this issuer has that")
    key = find(claimed.header.get("kid"))
    if key is None:
        raise TokenError("bad_signature", "the key that it names is not one of this issuer's")
    if claimed.header.get("alg") != key.alg:
        raise TokenError("bad_signature", f"its key signs with {key.alg} only")
    try:
        _jws().decode_complete(token, key.public, algorithms=[key.alg])
    except PyJWTError as error:
        raise TokenError("bad_signature", "its signature does not fit its text") from error


@functools.cache
def _jws() -> PyJWS:
    from jwt import PyJWS  # noqa: PLC0415 - see `key`

    return PyJWS(algorithms=list(ALGORITHMS))
