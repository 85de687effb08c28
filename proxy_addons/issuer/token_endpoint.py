"""``/token``: tokens for a code, for a client itself, or for a refresh token (RFC 6749, sections 4.1.3, 4.4 and 6)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote_plus

from procman.identity import Identity
from proxy_addons.issuer.authorization_request import audience_of, scopes_of
from proxy_addons.issuer.discovery import ID_TOKEN_ALG, OPENID_SCOPES
from proxy_addons.issuer.grants import Grant, Grants
from proxy_addons.issuer.issuer import Issuer
from proxy_addons.issuer.message import Answer, Request
from proxy_addons.issuer.oauth_error import OAuthError

_REFUSED_CLIENT: Final = {"WWW-Authenticate": 'Basic realm="stores"'}


class TokenEndpoint:
    """Any client is known here, whatever its secret: what protects a sign-in is PKCE, and where a code may be sent."""

    def __init__(
        self,
        issuer: Issuer,
        identities: Callable[[], Sequence[Identity]],
        codes: Grants,
        refreshing: Grants,
    ) -> None:
        self._issuer = issuer
        self._identities = identities
        self._codes = codes
        self._refreshing = refreshing

    def answer(self, request: Request) -> Answer:
        """The tokens. Raises `OAuthError`."""
        form = request.form()
        client = _client(request.headers.get("authorization", ""), form)
        grants: dict[str, Callable[[], Grant]] = {
            "authorization_code": lambda: self._of_code(form, client),
            "client_credentials": lambda: self._of_client(request, form, client),
            "refresh_token": lambda: self._of_refresh_token(form, client),
        }
        kind = form.get("grant_type", "")
        if not kind:
            raise OAuthError("invalid_request", f"grant_type is missing: {', '.join(grants)}")
        if kind not in grants:
            raise OAuthError("unsupported_grant_type", f"grant_type is one of {', '.join(grants)}")
        grant = grants[kind]()
        identity = next((one for one in self._identities() if one.name == grant.identity), None)
        if identity is None:
            raise OAuthError("invalid_grant", f"{grant.identity} is not in stores.toml any more")
        return Answer.json(self._tokens(grant, identity, kind), Pragma="no-cache")

    def _tokens(self, grant: Grant, identity: Identity, kind: str) -> dict[str, Any]:
        life = self._issuer.terms.ttl
        access = self._issuer.sign(
            identity,
            grant.audience or None,
            scopes=grant.scopes,
            url=grant.url,
            claims={"client_id": grant.client},
        )
        told = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": math.floor(life),
            "scope": " ".join(grant.scopes),
        }
        if kind != "client_credentials" and "openid" in grant.scopes:
            told["id_token"] = self._id_token(grant, identity, access)
        if kind != "client_credentials" and "offline_access" in grant.scopes:
            told["refresh_token"] = self._refreshing.keep(grant)
        return told

    def _id_token(self, grant: Grant, identity: Identity, access: str) -> str:
        """OpenID Connect Core, sections 2 and 3.1.3.6."""
        half = hashlib.sha256(access.encode()).digest()[:16]
        said: dict[str, object] = {
            "nonce": grant.nonce or None,
            "auth_time": grant.signed_in,
            "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
            "scope": None,
        }
        return self._issuer.sign(identity, grant.client, url=grant.url, claims=said, alg=ID_TOKEN_ALG)

    def _of_code(self, form: Mapping[str, str], client: str) -> Grant:
        grant = self._codes.take(form.get("code", ""))
        if grant is None:
            raise OAuthError("invalid_grant", "This code was used already, or is over, or was never given out")
        if grant.client != client:
            raise OAuthError("invalid_grant", "This code was given to another client")
        if grant.redirect_uri != form.get("redirect_uri"):
            raise OAuthError("invalid_grant", f"redirect_uri must be the one that got the code: {grant.redirect_uri}")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if not hmac.compare_digest(base64.urlsafe_b64encode(digest).rstrip(b"="), grant.challenge.encode()):
            raise OAuthError("invalid_grant", "code_verifier is not the one whose S256 was the code_challenge")
        return grant

    def _of_client(self, request: Request, form: Mapping[str, str], client: str) -> Grant:
        """The client is an identity itself, as services are that call in their own name."""
        identity = next((one for one in self._identities() if client in {one.name, one.sub}), None)
        if identity is None:
            names = ", ".join(one.name for one in self._identities()) or "none"
            told = f"client_id is the name of an identity in stores.toml, and {client} is none. There is: {names}"
            raise OAuthError("invalid_client", told, 401, _REFUSED_CLIENT)
        scopes = scopes_of(form.get("scope", ""))
        beyond = [scope for scope in scopes if scope not in {*OPENID_SCOPES, *identity.scopes}]
        if beyond:
            has = " ".join(identity.scopes) or "none"
            raise OAuthError("invalid_scope", f"{identity.name} has not {' '.join(beyond)}. It has: {has}")
        return Grant(
            identity=identity.name,
            client=client,
            scopes=scopes or identity.scopes,
            url=self._issuer.url_at(request.site),
            signed_in=math.floor(self._issuer.clock()),
            audience=audience_of(form),
        )

    def _of_refresh_token(self, form: Mapping[str, str], client: str) -> Grant:
        grant = self._refreshing.take(form.get("refresh_token", ""))
        if grant is None or grant.client != client:
            raise OAuthError("invalid_grant", "This refresh token was used already, or the gateway was restarted since")
        return grant


def _client(authorization: str, form: Mapping[str, str]) -> str:
    """Who asks: by HTTP Basic (both halves form-encoded, RFC 6749, section 2.3.1), or in the form."""
    named = form.get("client_id", "")
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            name = base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[0]
        except (binascii.Error, ValueError) as error:
            raise OAuthError("invalid_client", "Authorization is no Basic header", 401, _REFUSED_CLIENT) from error
        basic = unquote_plus(name)
        if named and named != basic:
            raise OAuthError("invalid_request", "client_id and Authorization name two clients")
        named = basic
    elif authorization:
        raise OAuthError("invalid_client", "A client says who it is by Basic, or by client_id", 401, _REFUSED_CLIENT)
    if not named:
        raise OAuthError("invalid_client", "client_id is missing", 401, _REFUSED_CLIENT)
    return named
