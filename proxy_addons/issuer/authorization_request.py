"""One question to ``/authorize``, checked: RFC 6749, section 4.1.1; OpenID Connect Core, section 3.1.2.1; RFC 7636."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from procman.identity import is_scope
from proxy_addons.issuer.oauth_error import OAuthError
from proxy_addons.issuer.own_hosts import OwnHosts

#: RFC 7636, section 4.2: the SHA-256 of the verifier in base64url.
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_REFUSED: Final = {
    "request": ("request_not_supported", "Send the parameters one by one, not as a request object"),
    "request_uri": ("request_uri_not_supported", "Send the parameters one by one, not by request_uri"),
}


class NoWayBackError(OAuthError):
    """There is nobody to whom an error could be sent back: it is shown to the person."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a client asks for. An empty text stands for what it left out."""

    client: str
    redirect_uri: str
    state: str = ""
    scopes: tuple[str, ...] = ()
    nonce: str = ""
    challenge: str = ""
    hint: str = ""
    audience: str = ""


def way_back(query: Mapping[str, str], hosts: OwnHosts) -> AuthorizationRequest:
    """To whom even an error may be sent. Raises `NoWayBackError`."""
    for name in ("client_id", "redirect_uri"):
        if not query.get(name):
            raise NoWayBackError("invalid_request", f"{name} is missing")
    refusal = hosts.redirect_refusal(query["redirect_uri"])
    if refusal:
        raise NoWayBackError("invalid_request", refusal)
    return AuthorizationRequest(query["client_id"], query["redirect_uri"], query.get("state", ""))


def check(query: Mapping[str, str], back: AuthorizationRequest) -> AuthorizationRequest:
    """The whole of it. Raises `OAuthError`, which the client is told."""
    for name, (error, description) in _REFUSED.items():
        if name in query:
            raise OAuthError(error, description)
    if query.get("response_type") != "code":
        raise OAuthError("unsupported_response_type", "Only response_type=code is known here")
    if query.get("response_mode", "query") != "query":
        raise OAuthError("invalid_request", "Only response_mode=query is known here")
    challenge = query.get("code_challenge", "")
    if query.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise OAuthError("invalid_request", "PKCE is wanted: code_challenge with code_challenge_method=S256 (RFC 7636)")
    if query.get("prompt") == "none":
        raise OAuthError("login_required", "Nobody is signed in here between two sign-ins: ask without prompt=none")
    return AuthorizationRequest(
        back.client,
        back.redirect_uri,
        back.state,
        scopes_of(query.get("scope", "")),
        query.get("nonce", ""),
        challenge,
        query.get("login_hint", ""),
        audience_of(query),
    )


def scopes_of(text: str) -> tuple[str, ...]:
    """The scopes of a ``scope`` parameter, each once. Raises `OAuthError`."""
    scopes = tuple(dict.fromkeys(text.split(" "))) if text else ()
    if not all(map(is_scope, scopes)):
        raise OAuthError("invalid_scope", "Scopes stand with one space between them, and no quotation marks")
    return scopes


def audience_of(given: Mapping[str, str]) -> str:
    """For whom an access token is to be: ``resource`` (RFC 8707), or ``audience``, as many providers call it."""
    return given.get("resource") or given.get("audience", "")
