"""Who a caller of the local API gateway can be: ``[identity.NAME]`` of ``stores.toml``."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any

from procman.table import Table

#: Whom a request asks to be when it wants to be nobody: ``Stores-As: nobody``.
NOBODY = "nobody"
#: What a token says by itself (RFC 7519, section 4.1; RFC 9068, section 2.2; OpenID Connect Core, section 2). No claim
#: of an identity replaces it.
REGISTERED_CLAIMS = frozenset(
    ("iss", "sub", "aud", "exp", "iat", "nbf", "jti", "scope", "client_id", "azp", "nonce", "auth_time", "at_hash")
)
#: Words that `unknown_token` knows beside names, and the one for nobody.
_RESERVED = frozenset({NOBODY, "deny", "ignore"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
#: RFC 6749, section 3.3.
_SCOPE = re.compile(r"[!#-\[\]-~]+")
#: OpenID Connect Core 1.0, section 2: ASCII, 255 characters at most.
_SUB = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class Identity:
    """One caller. `sub`: the subject as services know it; `claims`: what a token says of it besides."""

    name: str
    sub: str
    scopes: tuple[str, ...] = ()
    claims: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Identity:
        """From `to_json`'s result."""
        return cls(**{**value, "scopes": tuple(value["scopes"])})


def read(table: Table) -> dict[str, Identity]:
    """The identities in ``[identity]``, by name. What is wrong is noted in the table."""
    found = {}
    for name in table.keys():
        if name in _RESERVED or not _NAME.fullmatch(name):
            problem = f'"{name}" is a word of the authorizer\'s own' if name in _RESERVED else f'"{name}" is not a name'
            table.wrong(name, problem, "Letters, digits, . _ @ and - make a name: [identity.alice]")
        elif not isinstance(table.any(name), dict):
            table.wrong(name, f"identity.{name} must be a table", f'Write it as: [identity.{name}], sub = "{name}"')
        else:
            found[name] = _identity(table.table(name), name)
    table.close()
    return found


def is_scope(text: str) -> bool:
    """Whether it is one scope, and not two with a space between them."""
    return bool(_SCOPE.fullmatch(text))


def _identity(table: Table, name: str) -> Identity:
    identity = Identity(
        name=name,
        sub=table.take("sub", str, name, lambda value: "" if _SUB.fullmatch(value) else f'"{value}" is not a subject'),
        scopes=table.texts("scopes", ()),
        claims=_claims(table.table("claims")),
    )
    for scope in identity.scopes:
        if not is_scope(scope):
            table.wrong("scopes", f'"{scope}" is not a scope', 'One text each: scopes = ["org:read", "org:write"]')
    table.close()
    return identity


def _claims(table: Table) -> dict[str, object]:
    claims = {key: table.any(key) for key in table.keys()}
    for key, value in claims.items():
        if key in REGISTERED_CLAIMS:
            table.wrong(key, f'the claim "{key}" is written by the issuer', "Take it out; sub and scopes are keys.")
        elif _holds_time(value):
            table.wrong(
                key, f'the claim "{key}" is a date, which JSON does not know', f'Write it as: {key} = "{value}"'
            )
    return claims


def _holds_time(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_time, value.values()))
    if isinstance(value, list):
        return any(map(_holds_time, value))
    return isinstance(value, date | datetime | time)
