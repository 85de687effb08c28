"""The issuer's site without a socket, with two identities and one service: what its tests ask."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from procman.identity import Identity
from proxy_addons.issuer.endpoints import Endpoints
from proxy_addons.issuer.issuer import Issuer, Terms
from proxy_addons.issuer.message import Answer, Request
from proxy_addons.site import Site

ALICE = Identity("alice", "user-1", ("org:read", "org:write"), {"email": "alice@example.com"})
BOB = Identity("bob", "user-2")
FORM = "application/x-www-form-urlencoded"
HTML = {"accept": "text/html"}
BACK = "https://netshop.local.example.com/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ASKED = {
    "response_type": "code",
    "client_id": "netshop",
    "redirect_uri": BACK,
    "scope": "openid org:read org:admin",
    "state": "s&t=1",
    "nonce": "n-1",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
AUTH = Site("https", "auth.local.example.com", 443)


class World:
    """The site with two identities and one service, `netshop`; its clocks stand still until they are told."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_800_000_000.0
        self.ticks = 0.0
        self.known = (ALICE, BOB)
        self.terms = Terms("local.example.com", str(AUTH), "https://api-gateway.local.example.com", "ES256", 3600)
        self.issuer = Issuer(folder / "issuer", lambda: self.terms, lambda: self.now)
        hosts = {"netshop.local.example.com", "netshop.localhost"}
        self.endpoints = Endpoints(self.issuer, lambda: self.known, hosts.__contains__, lambda: self.ticks)

    def ask(self, method: str, path: str, body: str = "", site: Site = AUTH, **headers: str) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.endpoints.answer(Request(method, path, site, given, body.encode()))

    def authorize(self, site: Site = AUTH, **changes: str | None) -> Answer:
        return self.ask("GET", f"/authorize?{urlencode(changed(ASKED, changes))}", site=site, **HTML)

    def press(self, page: Answer, name: str, site: Site = AUTH, **headers: str) -> Answer:
        """What a browser sends for a button of the page."""
        action = re.search(r'<form method="post" action="([^"]+)"', page.body.decode())
        assert action
        told = {"origin": str(site), "sec_fetch_site": "same-origin", "content_type": FORM, **HTML, **headers}
        return self.ask("POST", html.unescape(action[1]), urlencode({"identity": name}), site, **told)

    def code(self, name: str = "alice", site: Site = AUTH, **changes: str | None) -> str:
        return told(self.press(self.authorize(site, **changes), name, site))["code"]

    def token(self, site: Site = AUTH, headers: dict[str, str] | None = None, **form: str | None) -> Answer:
        given = urlencode({name: value for name, value in form.items() if value is not None})
        return self.ask("POST", "/token", given, site, content_type=FORM, **(headers or {}))

    def redeem(self, code: str, site: Site = AUTH, /, **changes: str | None) -> Answer:
        base = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "client_id": "netshop"}
        return self.token(site, **changed({**base, "code_verifier": VERIFIER}, changes))


def changed(base: dict[str, str], changes: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in {**base, **changes}.items() if value is not None}


def told(answer: Answer) -> dict[str, str]:
    """What a redirect says to the client."""
    assert answer.status == 303, answer
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def read(answer: Answer) -> dict[str, Any]:
    found = json.loads(answer.body)
    assert isinstance(found, dict)
    return found


def claims(token: str) -> dict[str, Any]:
    text = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
