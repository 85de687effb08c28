"""Verifies a token by its issuer's public keys, with nothing but Python. In real life there is a library for it.

RS256 alone (RFC 7515, section A.2): by the public numbers it is one power and one comparison (RFC 8017, section 8.2.2).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from threading import Lock
from typing import Any

#: DER of "what follows is a SHA-256 digest": RFC 8017, section 9.2, note 1.
_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")
#: Seconds between two looks at the issuer's keys, however many tokens name one that nobody knows.
_PAUSE = 1.0


class BadTokenError(ValueError):
    """Its text says why the token does not count."""


class Verifier:
    """`fetch` gets the issuer's JSON Web Key Set. It is asked when a token names a key that is not known yet."""

    def __init__(self, fetch: Callable[[], Any], issuer: str, audience: str) -> None:
        self._fetch, self._issuer, self._audience = fetch, issuer, audience
        self._keys: dict[str, tuple[int, int]] = {}
        self._looked = float("-inf")
        self._lock = Lock()

    def claims(self, token: str) -> dict[str, Any]:
        """What the token says. Raises `BadTokenError`, ``OSError`` where the keys cannot be had."""
        try:
            head, payload, signature = token.split(".")
            header, claims = json.loads(_decoded(head)), json.loads(_decoded(payload))
            signed = int.from_bytes(_decoded(signature), "big")
            algorithm, kid = header["alg"], header["kid"]
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise BadTokenError("it is no token") from error
        if algorithm != "RS256":  # the algorithm is ours to choose, and not the token's (RFC 8725, section 3.1)
            raise BadTokenError(f"it is signed with {algorithm}, and not with RS256")
        modulus, exponent = self._key(kid)
        if not hmac.compare_digest(
            pow(signed, exponent, modulus).to_bytes(_size(modulus), "big"), _padded(f"{head}.{payload}", modulus)
        ):
            raise BadTokenError("its signature is wrong")
        return self._accepted(claims)

    def _accepted(self, claims: dict[str, Any]) -> dict[str, Any]:
        audience = claims.get("aud")
        if claims.get("iss") != self._issuer:
            raise BadTokenError(f"it is from {claims.get('iss')}, and not from {self._issuer}")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise BadTokenError(f"it is for {audience}, and not for {self._audience}")
        if not isinstance(claims.get("exp"), int | float) or claims["exp"] <= time.time():
            raise BadTokenError("it has expired")
        return claims

    def _key(self, kid: str) -> tuple[int, int]:
        with self._lock:
            if kid not in self._keys and time.monotonic() - self._looked >= _PAUSE:
                self._looked = time.monotonic()
                keys = [key for key in self._fetch()["keys"] if key["kty"] == "RSA"]
                self._keys = {key["kid"]: (_number(key["n"]), _number(key["e"])) for key in keys}
            if kid not in self._keys:
                raise BadTokenError("it names a key that its issuer does not have")
            return self._keys[kid]


def _padded(text: str, modulus: int) -> bytes:
    end = _SHA256 + hashlib.sha256(text.encode()).digest()
    return b"\0\1" + b"\xff" * (_size(modulus) - len(end) - 3) + b"\0" + end


def _size(modulus: int) -> int:
    return (modulus.bit_length() + 7) // 8


def _number(text: str) -> int:
    return int.from_bytes(_decoded(text), "big")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
