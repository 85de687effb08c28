"""Signs tokens for the workspace's identities, and says of a token whether it is one of them."""

from __future__ import annotations

import asyncio
import json
import math
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from procman.authorizer_settings import ISSUER_HOST, LONGEST_TTL
from procman.identity import REGISTERED_CLAIMS
from proxy_addons.issuer import signature
from proxy_addons.issuer.key_ring import KeyRing
from proxy_addons.issuer.token_cache import Signed, TokenCache
from proxy_addons.issuer.token_error import TokenError

if TYPE_CHECKING:
    from procman.authorizer_settings import AuthorizerSettings
    from procman.identity import Identity
    from proxy_addons.site import Site


@dataclass(frozen=True, slots=True)
class Terms:
    """What stores.toml says of tokens. `ttl`: seconds.

    `fixed`: whether `url` was written there. Else a token that somebody asks for at ``http://auth.localhost:8080``
    names that as its issuer, for a client that found the issuer there accepts no other.
    """

    domain: str
    url: str
    audience: str
    alg: str
    ttl: float
    fixed: bool = False

    @classmethod
    def of(cls, domain: str, settings: AuthorizerSettings) -> Terms:
        """What follows from a workspace's settings."""
        url, audience = settings.issuer_for(domain), settings.audience_for(domain)
        return cls(domain, url, audience, settings.alg, settings.ttl, bool(settings.issuer))


class Issuer:
    """Safe to be asked for each request: a token is signed once, and given out again until it is near its end."""

    def __init__(self, folder: Path, terms: Callable[[], Terms], clock: Callable[[], float] = time.time) -> None:
        """`folder`: its own, for its keys. `terms` are asked for with each token; `clock`: epoch seconds."""
        self.keys = KeyRing(folder, clock)
        self.clock = clock
        self._terms = terms
        self._cache = TokenCache()

    @property
    def terms(self) -> Terms:
        """What is in force now."""
        return self._terms()

    async def ready(self) -> None:
        """Returns once the keys are read. To make them takes longer than any other request should wait for."""
        if not self.keys.known:
            await asyncio.to_thread(self.keys.load)

    def sign(
        self,
        identity: Identity,
        audience: str | None = None,
        *,
        scopes: tuple[str, ...] | None = None,
        expires_in: float | None = None,
        url: str | None = None,
        claims: Mapping[str, object] | None = None,
        alg: str | None = None,
    ) -> str:
        """A token that says: the bearer is `identity`. What is left out is as the terms say.

        `scopes`: None for all that the identity has. `expires_in`: seconds, negative for one that is over. `url`: the
        issuer that it names. `claims` go over the identity's own; with them the token is made anew each time. Raises
        ``ValueError`` for a life longer than `LONGEST_TTL`, `StoresError` where there are no keys to be had.
        """
        terms, now = self.terms, self.clock()
        life = terms.ttl if expires_in is None else expires_in
        if not math.isfinite(life) or abs(life) > LONGEST_TTL:
            raise ValueError(f"a token lives at most {LONGEST_TTL:.0f} seconds, and not {life:g}")
        key = self.keys.signing(alg or terms.alg)
        name = (identity.name, audience, scopes, expires_in, url, alg)
        of = (identity, terms)
        known = None if claims is not None else self._cache.find(name, of, now, self.keys.changes)
        if known is not None:
            return known
        issued = math.floor(now)
        said = {
            **{claim: value for claim, value in identity.claims.items() if claim not in REGISTERED_CLAIMS},
            "iss": url or terms.url,
            "sub": identity.sub,
            "aud": terms.audience if audience is None else audience,
            "iat": issued,
            "exp": math.ceil(issued + life),
            "jti": secrets.token_urlsafe(12),
            "scope": " ".join(identity.scopes if scopes is None else scopes),
            **(claims or {}),
        }
        payload = {claim: value for claim, value in said.items() if value is not None}
        text = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        token = signature.sign(text, key, {"typ": "JWT", "kid": key.kid})
        if claims is None and life > 0:
            self._cache.keep(name, Signed(token, issued, issued + life, of))
        return token

    def verify(self, token: str, audience: str | None = None) -> Mapping[str, Any]:
        """What `token` says, once it is known to be true, of us, for `audience` (None: the terms'), and not over.

        Raises `TokenError`. `not_ours` is said of tokens that claim another issuer, and of no other.
        """
        claims = self.authentic(token)
        wanted = self.terms.audience if audience is None else audience
        said = claims.get("aud")
        if wanted not in (said if isinstance(said, list) else [said]):
            raise TokenError("wrong_audience", f"it is for {said}, and not for {wanted}")
        return claims

    def authentic(self, token: str, *, late: bool = False) -> Mapping[str, Any]:
        """The same, for whomever the token is meant. `late`: it may be over."""
        claimed = signature.read(token)
        claims = claimed.claims()
        if not self.ours(claims.get("iss")):
            raise TokenError("not_ours", "it names another issuer")
        signature.verify(token, claimed, self.keys.find)
        ends = claims.get("exp")
        if not isinstance(ends, int | float) or not isinstance(claims.get("sub"), str):
            raise TokenError("malformed", "it says not who, or not how long")
        now = self.clock()
        if ends <= now and not late:
            raise TokenError("expired", f"it ended {_span(now - ends)} ago")
        return claims

    def url_at(self, site: Site) -> str:
        """The issuer's name for a client that reached it at `site`."""
        terms = self.terms
        return terms.url if terms.fixed else str(site)

    def ours(self, url: object) -> bool:
        """Whether this issuer goes by that name: the terms' one, or that of its own site by any of its doors."""
        if not isinstance(url, str):
            return False
        terms = self.terms
        if url == terms.url:
            return True
        hosts = "|".join(re.escape(f"{ISSUER_HOST}.{domain}") for domain in (terms.domain, "localhost"))
        return not terms.fixed and re.fullmatch(rf"https?://(?:{hosts})(?::[0-9]+)?", url) is not None


def _span(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(1, int(seconds))} seconds"
