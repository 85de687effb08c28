"""The issuer's pages: who to be, what is wrong, what this is. Without a script, in the look of the fallback page."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from procman.identity import Identity
from proxy_addons.fallback.acceptance import Form, form_of, language_of
from proxy_addons.fallback.template import PageTemplate
from proxy_addons.fallback.words import LANGUAGES, PAGES
from proxy_addons.issuer import discovery
from proxy_addons.issuer.authorization_request import AuthorizationRequest
from proxy_addons.issuer.message import Answer, Request

if TYPE_CHECKING:
    from proxy_addons.issuer.issuer import Terms

#: On everything that a browser shows. The form's Origin would be "null" with a referrer policy of "no-referrer".
CAREFUL: Final = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}

_TEMPLATE: Final = PageTemplate("issuer.html", "fallback.css", "issuer.css")


@dataclass(frozen=True, slots=True)
class Page:
    """What the template shows; what is empty is left out."""

    site: str
    title: str
    text: str
    why: str = ""
    hosts: bool = False
    action: str = ""
    identities: Sequence[Identity] = ()
    known: Sequence[Identity] = ()
    nobody: bool = False
    facts: Sequence[tuple[str, str, str]] = ()
    commands: Sequence[tuple[str, str]] = ()


def pick(request: Request, asked: AuthorizationRequest, identities: Sequence[Identity], action: str) -> Answer:
    """A button for each identity."""
    words = _words(request)
    if not identities:
        page = Page(str(request.site), words["nobody_title"], words["nobody_text"], nobody=True)
        return _html(request, page, 200)
    facts = [(words["goes_to"], asked.redirect_uri, "")]
    facts += [(words["asks_for"], " ".join(asked.scopes), "")] if asked.scopes else []
    text = words["pick_text"].format(client=asked.client)
    page = Page(str(request.site), words["pick_title"], text, action=action, identities=identities, facts=facts)
    return _html(request, page, 200)


def wrong(request: Request, why: str, status: int = 400, *, sign_out: bool = False) -> Answer:
    """What is wrong with a sign-in, or with signing out, where no client can be told."""
    if form_of(request.headers.get("accept", "")) is not Form.HTML:
        return Answer.json({"error": "invalid_request", "error_description": why}, status)
    words = _words(request)
    pressed = status != 400  # noqa: PLR2004 - Bad Request
    title = words["wrong_press_title" if pressed else "wrong_sign_out_title" if sign_out else "wrong_title"]
    page = Page(str(request.site), title, "" if pressed else words["wrong_text"], why, hosts="redirect_uri" in why)
    return _html(request, page, status)


def signed_out(request: Request) -> Answer:
    """Signing out is over, and the client did not say where to go."""
    if form_of(request.headers.get("accept", "")) is not Form.HTML:
        return plain(200, "Signed out. Nobody stays signed in here.")
    words = _words(request)
    return _html(request, Page(str(request.site), words["signed_out_title"], words["signed_out_text"]), 200)


def home(request: Request, url: str, terms: Terms, identities: Sequence[Identity]) -> Answer:
    """What this is, and how to go on."""
    if form_of(request.headers.get("accept", "")) is not Form.HTML:
        names = ", ".join(identity.name for identity in identities) or "none: write [identity.alice] into stores.toml"
        lines = (f"The issuer of this workspace, {url}", f"Identities: {names}", "stores token NAME  # print a token")
        return plain(200, "\n".join((*lines, f"{request.site}{discovery.OPENID}")))
    words = _words(request)
    site = str(request.site)
    facts = [
        (words["issuer"], url, ""),
        (words["audience"], terms.audience, ""),
        (words["algorithm"], terms.alg, ""),
        (words["lifetime"], words["seconds"].format(n=f"{terms.ttl:g}"), ""),
        (words["discovery"], discovery.OPENID, f"{site}{discovery.OPENID}"),
        (words["keys"], discovery.JWKS, f"{site}{discovery.JWKS}"),
    ]
    if identities:
        name = identities[0].name
        commands = [(f"stores token {name}", words["token_does"].format(name=name))]
    else:
        commands = []
    commands += [("stores auth rotate", words["rotate_does"])]
    page = Page(
        *(site, words["home_title"], words["home_text"]),
        known=identities,
        nobody=not identities,
        facts=facts,
        commands=commands,
    )
    return _html(request, page, 200)


def plain(status: int, text: str, **headers: str) -> Answer:
    """A line for a terminal."""
    told = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store", **CAREFUL, **headers}
    return Answer(status, f"{text}\n".encode(), told)


def _html(request: Request, page: Page, status: int) -> Answer:
    body = _TEMPLATE.render(page=page, words=_words(request), lang=_language(request))
    # No form-action: browsers hold it against every redirect that follows a form, and the client's may lead anywhere.
    # Nothing on the page can make a form: it has no script, and every value is escaped.
    policy = f"default-src 'none'; {_TEMPLATE.style_source}; img-src data:; base-uri 'none'; frame-ancestors 'none'"
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Language": _language(request),
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        "Cache-Control": "no-store",
        "Vary": "Accept, Accept-Language",
    }
    return Answer(status, body.encode("utf-8", "replace"), {**headers, **CAREFUL})


def _language(request: Request) -> str:
    return language_of(request.headers.get("accept-language", ""), LANGUAGES)


def _words(request: Request) -> dict[str, str]:
    return _all_words()[_language(request)]


@functools.cache
def _all_words() -> dict[str, dict[str, str]]:
    return tomllib.loads((PAGES / "issuer.toml").read_text(encoding="utf-8"))
