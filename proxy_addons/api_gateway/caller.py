"""Who calls: the first that applies of a header, a cookie, a bearer token, ``stores as`` and the default."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from procman.authorizer_settings import AuthorizerSettings
from procman.identity import NOBODY, Identity
from proxy_addons.api_gateway.managed import AS
from proxy_addons.api_gateway.refusal import RefusalError, challenge
from proxy_addons.issuer.token_error import TokenError
from proxy_addons.problem import Code, Problem

if TYPE_CHECKING:
    from mitmproxy.http import Headers

COOKIE: Final = "stores_as"
#: A token that another issuer made, or that is no token of the kind that ours are (RFC 6750 allows any text).
_SOMEBODY_ELSES: Final = frozenset(("not_ours", "malformed"))


class Tokens(Protocol):
    """What the authorizer wants of the issuer (`proxy_addons.issuer.issuer.Issuer`)."""

    async def ready(self) -> None:
        """Before the first of the others: a workspace's first keys take their time."""

    def sign(
        self,
        identity: Identity,
        audience: str | None = None,
        *,
        scopes: tuple[str, ...] | None = None,
        expires_in: float | None = None,
    ) -> str:
        """A token, kept and given again until it is near its end."""

    def verify(self, token: str, audience: str | None = None) -> Mapping[str, Any]:
        """Its claims. Raises `TokenError`."""


@dataclass(frozen=True, slots=True)
class Caller:
    """`token`: the one of ours that he came with. Nothing else is a secret: any page could say the rest."""

    identity: Identity
    token: str = ""


@dataclass(frozen=True, slots=True)
class Register:
    """What callers are known by: the workspace's identities and rules, and who verifies tokens."""

    identities: Mapping[str, Identity]
    settings: AuthorizerSettings
    verify: Callable[[str], Mapping[str, Any]]
    realm: str


def identify(headers: Headers, register: Register, chosen: Callable[[], str]) -> Caller | None:
    """The caller; None for nobody. `chosen`: the name that ``stores as`` chose. Raises `RefusalError`."""
    for by, values in ((AS, headers.get_all(AS)), (f"the cookie {COOKIE}", _cookies(headers))):
        wanted = _one(values, by)
        if wanted is not None:
            return _named(wanted, register, by)
    found = _bearer(headers, register)
    if found is not None:
        return found
    name = chosen()
    return (
        _named(name, register, "stores as")
        if name
        else _named(register.settings.default or NOBODY, register, "default")
    )


def check_single(headers: Headers) -> None:
    """One program would take the first of two, another one the last. Raises `RefusalError`."""
    if len(headers.get_all("authorization")) > 1:
        raise RefusalError(Problem(Code.AMBIGUOUS_CALLER, "Authorization stands there more than once"))


def _one(values: Sequence[str], name: str) -> str | None:
    if len(set(values)) > 1:
        raise RefusalError(Problem(Code.AMBIGUOUS_CALLER, f"{name} names several: {', '.join(values)}"))
    return values[0] if values else None


def _named(name: str, register: Register, by: str) -> Caller | None:
    if name == NOBODY:
        return None
    identity = register.identities.get(name)
    if identity is None:
        known = (*sorted(register.identities), NOBODY)
        raise RefusalError(
            Problem(Code.UNKNOWN_IDENTITY, f'{by} names "{name}"; registered are {", ".join(known)}', known=known)
        )
    return Caller(identity)


def _cookies(headers: Headers) -> list[str]:
    text = "; ".join(headers.get_all("cookie"))
    if COOKIE not in text:
        return []
    pairs = (pair.strip().partition("=") for pair in text.split(";"))
    return [value.strip('"') for name, _, value in pairs if name == COOKIE]


def _bearer(headers: Headers, register: Register) -> Caller | None:
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer":
        return None
    try:
        claims = register.verify(token)
    except TokenError as error:
        if error.code in _SOMEBODY_ELSES:
            return _unknown(register, error.detail)
        detail = f"{error.code.replace('_', ' ')}: {error.detail}"
        raise challenge(register.realm, Code.INVALID_TOKEN, detail, "invalid_token") from error
    return Caller(_of_claims(claims, register.identities), token)


def _unknown(register: Register, detail: str) -> Caller | None:
    rule = register.settings.unknown_token
    if rule == "ignore":
        return None
    if rule == "deny":
        raise challenge(register.realm, Code.UNKNOWN_TOKEN, detail, "invalid_token")
    return _named(rule, register, "unknown_token")


def _of_claims(claims: Mapping[str, Any], identities: Mapping[str, Identity]) -> Identity:
    """What the token says counts: it may have fewer scopes than its identity has."""
    sub, scopes = claims["sub"], tuple(str(claims.get("scope", "")).split())
    known = next((identity for identity in identities.values() if identity.sub == sub), None)
    return Identity(known.name if known else sub, sub, scopes, claims)
