"""Passwords are kept as scrypt hashes (RFC 7914)."""

from __future__ import annotations

import hashlib
import hmac
import secrets

COST = {"n": 1 << 14, "r": 8, "p": 1}  # 16 MB and some 50 ms for each guess


def hash_password(password: str) -> str:
    salt = secrets.token_bytes(16)
    digest = hashlib.scrypt(password.encode(), salt=salt, **COST)
    return f"{salt.hex()}:{digest.hex()}"


def matches(password: str, stored: str | None) -> bool:
    """Takes the same time whether the user exists (`stored`) or not, so that nobody learns who has an account here."""
    salt, _, digest = (stored or f"{'00' * 16}:{'00' * 64}").partition(":")
    found = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), **COST)
    return hmac.compare_digest(found, bytes.fromhex(digest)) and stored is not None
