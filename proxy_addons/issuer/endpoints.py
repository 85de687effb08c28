"""The issuer's site: its pages and endpoints by path, and who may read their answers from a page of another origin."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from procman.errors import StoresError
from procman.identity import Identity
from proxy_addons.issuer import discovery, pages
from proxy_addons.issuer.authorization import Authorization
from proxy_addons.issuer.end_session import EndSession
from proxy_addons.issuer.grants import Grants
from proxy_addons.issuer.issuer import Issuer
from proxy_addons.issuer.message import Answer, Request
from proxy_addons.issuer.oauth_error import OAuthError
from proxy_addons.issuer.own_hosts import OwnHosts
from proxy_addons.issuer.token_endpoint import TokenEndpoint
from proxy_addons.issuer.userinfo import Userinfo

#: Seconds. RFC 6749, section 4.1.2: "a maximum authorization code lifetime of 10 minutes is RECOMMENDED"; a client
#: redeems it at once.
CODE_LIFE: Final = 60.0
#: Seconds that a client may sleep and still refresh its tokens: a working day.
REFRESH_LIFE: Final = 10 * 3600.0

#: What pages of the workspace may ask from the browser. What is public to everybody is so to every page.
_PUBLIC: Final = frozenset({discovery.JWKS, discovery.OPENID, discovery.OAUTH})
_SHARED: Final = _PUBLIC | {discovery.TOKEN, discovery.USERINFO}
_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}

_Handler = Callable[[Request], Answer]


class Endpoints:
    """Answers one request at a time, and waits for nothing."""

    def __init__(
        self,
        issuer: Issuer,
        identities: Callable[[], Sequence[Identity]],
        knows: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`knows`: whether a host is one of the workspace's. `clock`: seconds, for codes and refresh tokens."""
        self._issuer = issuer
        self._identities = identities
        self._hosts = OwnHosts(knows)
        codes, refreshing = Grants(CODE_LIFE, clock), Grants(REFRESH_LIFE, clock)
        authorization = Authorization(issuer, identities, self._hosts, codes)
        tokens = TokenEndpoint(issuer, identities, codes, refreshing)
        userinfo = Userinfo(issuer, identities)
        end_session = EndSession(issuer, identities, self._hosts, refreshing)
        self._table: dict[str, dict[str, _Handler]] = {
            "/": {"GET": self._home},
            discovery.AUTHORIZE: {"GET": authorization.ask, "POST": authorization.pick},
            discovery.TOKEN: {"POST": tokens.answer},
            discovery.USERINFO: {"GET": userinfo.answer, "POST": userinfo.answer},
            discovery.LOGOUT: {"GET": end_session.answer, "POST": end_session.answer},
            discovery.JWKS: {"GET": self._keys},
            discovery.OPENID: {"GET": self._metadata},
            discovery.OAUTH: {"GET": self._metadata},
        }

    def answer(self, request: Request) -> Answer:
        """Whatever is asked."""
        handlers = self._table.get(request.place)
        if handlers is None:
            return pages.plain(404, f"There is nothing here. See {request.site}/")
        shared = self._shared_with(request)
        method = "GET" if request.method == "HEAD" else request.method
        if method == "OPTIONS" and shared:
            return Answer(204, headers={**shared, **_PREFLIGHT})
        if method not in handlers:
            allowed = ", ".join(sorted({*handlers, *(("HEAD",) if "GET" in handlers else ())}))
            return pages.plain(405, f"Only {allowed}.", Allow=allowed)
        told = self._answered(handlers[method], request)
        return Answer(told.status, told.body, {**told.headers, **shared})

    def _answered(self, handler: _Handler, request: Request) -> Answer:
        origin = request.headers.get("origin", "")
        foreign = origin and origin != str(request.site) and not self._hosts.has(origin)
        try:
            if foreign and request.method == "POST":
                raise OAuthError("invalid_request", f"A page of {origin} may not do this", 403)  # noqa: TRY301 - see below
            return handler(request)
        except OAuthError as error:
            return Answer.of(error)
        except StoresError as error:  # the keys cannot be used
            return Answer.of(OAuthError("server_error", f"{error.message}. {error.hint}", 500))

    def _shared_with(self, request: Request) -> dict[str, str]:
        """The headers by which a browser lets the page that asks read the answer (Fetch, section 3.2)."""
        origin = request.headers.get("origin", "")
        if request.place not in _SHARED:
            return {}
        if request.place in _PUBLIC:
            return {"Access-Control-Allow-Origin": "*"}
        vary = {"Vary": "Origin"}
        if not origin or not self._hosts.has(origin):
            return vary
        return {**vary, "Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": "WWW-Authenticate"}

    def _home(self, request: Request) -> Answer:
        return pages.home(request, self._issuer.url_at(request.site), self._issuer.terms, self._identities())

    def _metadata(self, request: Request) -> Answer:
        scopes = [scope for identity in self._identities() for scope in identity.scopes]
        return Answer.json(discovery.document(self._issuer.url_at(request.site), request.site, scopes))

    def _keys(self, _: Request) -> Answer:
        """Never cached: the next key may be a second away, and this answer costs nothing."""
        return Answer.json(self._issuer.keys.published())
