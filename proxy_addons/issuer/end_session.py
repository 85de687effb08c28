"""``/logout``: a client says that somebody signed out (OpenID Connect RP-Initiated Logout 1.0, section 2).

Nobody stays signed in here, so there is no session to end and nobody to be asked. What ends are the client's refresh
tokens, and the browser goes back to where the client wants it, if that is a place that a code could be sent to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlencode

from procman.identity import Identity
from proxy_addons.issuer import pages
from proxy_addons.issuer.grants import Grants
from proxy_addons.issuer.issuer import Issuer
from proxy_addons.issuer.message import Answer, Request
from proxy_addons.issuer.oauth_error import OAuthError
from proxy_addons.issuer.own_hosts import OwnHosts
from proxy_addons.issuer.token_error import TokenError


class EndSession:
    """Answers GET and POST alike, as the specification wants it."""

    def __init__(
        self, issuer: Issuer, identities: Callable[[], Sequence[Identity]], hosts: OwnHosts, refreshing: Grants
    ) -> None:
        self._issuer = issuer
        self._identities = identities
        self._hosts = hosts
        self._refreshing = refreshing

    def answer(self, request: Request) -> Answer:
        """Back to the client, or a page; what is wrong is shown, and then nothing has ended."""
        try:
            given = request.form() if request.method == "POST" else request.query()
            back = given.get("post_logout_redirect_uri", "")
            refusal = self._hosts.redirect_refusal(back, "post_logout_redirect_uri") if back else ""
            if refusal:
                raise OAuthError("invalid_request", refusal)  # noqa: TRY301 - answered with the others
            self._forget(given)
        except OAuthError as error:
            return pages.wrong(request, error.description, sign_out=True)
        if not back:
            return pages.signed_out(request)
        state = urlencode({"state": given["state"]}) if "state" in given else ""
        joint = ("&" if "?" in back else "?") if state else ""
        headers = {"Location": f"{back}{joint}{state}", "Cache-Control": "no-store", **pages.CAREFUL}
        return Answer(303, headers=headers)

    def _forget(self, given: Mapping[str, str]) -> None:
        """Without a hint nobody can tell whose tokens to forget. One that is over is as good as any (section 2)."""
        if "id_token_hint" not in given:
            return
        try:
            claims = self._issuer.authentic(given["id_token_hint"], late=True)
        except TokenError as error:
            raise OAuthError("invalid_request", f"id_token_hint is no token of this issuer: {error.detail}") from error
        client = given.get("client_id", claims.get("aud"))
        if client != claims.get("aud"):
            raise OAuthError("invalid_request", f"id_token_hint was given to {claims.get('aud')}, and not to {client}")
        names = {identity.name for identity in self._identities() if identity.sub == claims["sub"]}
        self._refreshing.drop(lambda grant: grant.client == client and grant.identity in names)
