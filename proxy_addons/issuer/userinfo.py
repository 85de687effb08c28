"""``/userinfo``: who the bearer of an access token is (OpenID Connect Core, section 5.3; RFC 6750, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from procman.identity import REGISTERED_CLAIMS, Identity
from proxy_addons.issuer.issuer import Issuer
from proxy_addons.issuer.message import Answer, Request
from proxy_addons.issuer.oauth_error import OAuthError, printable
from proxy_addons.issuer.token_error import TokenError


class Userinfo:
    """Says what stores.toml says now."""

    def __init__(self, issuer: Issuer, identities: Callable[[], Sequence[Identity]]) -> None:
        self._issuer = issuer
        self._identities = identities

    def answer(self, request: Request) -> Answer:
        """The claims. Raises `OAuthError`."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            # without a word about an error: nothing was tried yet (RFC 6750, section 3.1)
            raise OAuthError(
                "invalid_token", "Send Authorization: Bearer TOKEN", 401, {"WWW-Authenticate": 'Bearer realm="stores"'}
            )
        try:
            claims = self._issuer.authentic(token.strip())
        except TokenError as error:
            raise _refused("invalid_token", error.detail, 401) from error
        if "openid" not in str(claims.get("scope", "")).split():
            raise _refused("insufficient_scope", "The token has not the scope openid", 403, scope="openid")
        identity = next((one for one in self._identities() if one.sub == claims["sub"]), None)
        if identity is None:
            raise _refused("invalid_token", f"{claims['sub']} is not in stores.toml any more", 401)
        own = {claim: value for claim, value in identity.claims.items() if claim not in REGISTERED_CLAIMS}
        return Answer.json({"sub": identity.sub, **own})


def _refused(error: str, description: str, status: int, **more: str) -> OAuthError:
    told = {"realm": "stores", "error": error, "error_description": printable(description), **more}
    return OAuthError(
        error,
        description,
        status,
        {"WWW-Authenticate": "Bearer " + ", ".join(f'{name}="{value}"' for name, value in told.items())},
    )
