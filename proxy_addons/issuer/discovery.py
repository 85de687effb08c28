"""What a client needs to know to begin: OpenID Connect Discovery 1.0, section 3; RFC 8414, section 2."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from proxy_addons.fallback.words import LANGUAGES
from proxy_addons.site import Site

#: Scopes of OpenID Connect Core, sections 5.4 and 11; every identity has them.
OPENID_SCOPES: Final = ("openid", "profile", "email", "offline_access")
#: What an ID token is signed with. Clients accept this unless they were told otherwise (OpenID Connect Dynamic Client
#: Registration 1.0, section 2, `id_token_signed_response_alg`), so `alg` in stores.toml is about access tokens alone.
ID_TOKEN_ALG: Final = "RS256"  # noqa: S105 - no password

AUTHORIZE, TOKEN, USERINFO, LOGOUT = "/authorize", "/token", "/userinfo", "/logout"
JWKS = "/.well-known/jwks.json"
OPENID = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"


def document(issuer: str, site: Site, scopes: Iterable[str]) -> dict[str, Any]:
    """The metadata, with the endpoints where the client reached this site."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{site}{AUTHORIZE}",
        "token_endpoint": f"{site}{TOKEN}",
        "userinfo_endpoint": f"{site}{USERINFO}",
        "end_session_endpoint": f"{site}{LOGOUT}",
        "jwks_uri": f"{site}{JWKS}",
        "scopes_supported": sorted({*OPENID_SCOPES, *scopes}),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ID_TOKEN_ALG],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash"],
        "ui_locales_supported": list(LANGUAGES),
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }
