"""``/authorize``: a person picks who to be, and the client gets a code for it (RFC 6749, section 4.1, with PKCE)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from urllib.parse import urlencode

from procman.identity import Identity
from proxy_addons.fallback import button
from proxy_addons.issuer import pages
from proxy_addons.issuer.authorization_request import AuthorizationRequest, NoWayBackError, check, way_back
from proxy_addons.issuer.discovery import AUTHORIZE, OPENID_SCOPES
from proxy_addons.issuer.grants import Grant, Grants
from proxy_addons.issuer.issuer import Issuer
from proxy_addons.issuer.message import Answer, Request
from proxy_addons.issuer.oauth_error import OAuthError
from proxy_addons.issuer.own_hosts import OwnHosts


class Authorization:
    """Shows the page, and takes what was pressed on it. Keeps nobody signed in: each question is asked."""

    def __init__(
        self, issuer: Issuer, identities: Callable[[], Sequence[Identity]], hosts: OwnHosts, codes: Grants
    ) -> None:
        self._issuer = issuer
        self._identities = identities
        self._hosts = hosts
        self._codes = codes

    def ask(self, request: Request) -> Answer:
        """The page; an error goes to the client where it may, else it is shown."""
        return self._answered(request, self._page)

    def pick(self, request: Request) -> Answer:
        """The button was pressed: back to the client. Only a press on our own page counts."""
        return self._answered(request, self._picked)

    def _answered(self, request: Request, step: Callable[[Request, AuthorizationRequest], Answer]) -> Answer:
        try:
            query = request.query()
            back = way_back(query, self._hosts)
        except OAuthError as error:
            return pages.wrong(request, error.description)
        try:
            return step(request, check(query, back))
        except NoWayBackError as error:
            return pages.wrong(request, error.description, error.status)
        except OAuthError as error:
            return self._back(request, back, error=error.error, error_description=error.description)

    def _page(self, request: Request, asked: AuthorizationRequest) -> Answer:
        known = sorted(self._identities(), key=lambda identity: not _hinted(identity, asked.hint))
        query = {name: value for name, value in request.query().items() if name != "token"}
        # the token first: of two, the first one counts
        action = f"{AUTHORIZE}?{urlencode({'token': button.token(request.site), **query})}"
        return pages.pick(request, asked, known, action)

    def _picked(self, request: Request, asked: AuthorizationRequest) -> Answer:
        refusal = button.refusal(request, request.site)
        if refusal:
            raise NoWayBackError("access_denied", f"This press does not count: {refusal}", 403)
        name = request.form().get("identity", "")
        if not name:
            raise OAuthError("access_denied", "Whoever was asked did not want to sign in")
        identity = next((one for one in self._identities() if one.name == name), None)
        if identity is None:
            raise NoWayBackError("access_denied", f"{name} is not in stores.toml any more: go back, and choose again")
        allowed = {*OPENID_SCOPES, *identity.scopes}
        grant = Grant(
            identity=identity.name,
            client=asked.client,
            scopes=tuple(scope for scope in asked.scopes if scope in allowed) if asked.scopes else identity.scopes,
            url=self._url(request),
            signed_in=math.floor(self._issuer.clock()),
            redirect_uri=asked.redirect_uri,
            challenge=asked.challenge,
            nonce=asked.nonce,
            audience=asked.audience,
        )
        return self._back(request, asked, code=self._codes.keep(grant))

    def _back(self, request: Request, asked: AuthorizationRequest, **told: str) -> Answer:
        """To the client, which learns from `iss` who sends it (RFC 9207)."""
        told |= {"state": asked.state} if asked.state else {}
        query = urlencode({**told, "iss": self._url(request)})
        location = f"{asked.redirect_uri}{'&' if '?' in asked.redirect_uri else '?'}{query}"
        return Answer(303, headers={"Location": location, "Cache-Control": "no-store", **pages.CAREFUL})

    def _url(self, request: Request) -> str:
        return self._issuer.url_at(request.site)


def _hinted(identity: Identity, hint: str) -> bool:
    return bool(hint) and hint in {identity.name, identity.sub, identity.claims.get("email")}
