"""In a real browser: a person picks who to be, and a single-page app gets its tokens; another site's page does not."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import urlencode

import pytest
from chromium import PROGRAM, Chromium, Tab, one_browser
from gateway_world import World, one_world, service

from procman.identity import Identity

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not PROGRAM, reason="there is no Chromium here")]

ALICE = Identity("alice", "user-1", ("org:read", "org:write", "reserve:book"), {"email": "alice@example.com"})
TILL = Identity(
    "till", "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26", tuple(f"a:{n}" for n in range(30))
)
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()

world = pytest.fixture(scope="module")(one_world)


browser = pytest.fixture(scope="module")(one_browser)


@pytest.fixture
def tab(browser: Chromium) -> Tab:
    return browser.tab()


@pytest.fixture
def back(world: World) -> str:
    """Where a code goes: a page of a service of the workspace."""
    world.tell(service("netshop", port=world.origin().port), identities=(ALICE, Identity("bob", "bob"), TILL))
    return f"https://netshop.local.example.com:{world.https}/callback"


def issuer(world: World) -> str:
    return f"https://auth.local.example.com:{world.https}"


def question(world: World, back: str, **more: str) -> str:
    asked = {"response_type": "code", "client_id": "netshop", "redirect_uri": back, "scope": "openid org:read"}
    pkce = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    return f"{issuer(world)}/authorize?{urlencode({**asked, **pkce, 'state': 's-1', **more})}"


def test_a_single_page_app_signs_in_and_asks_who_it_is(world: World, back: str, tab: Tab) -> None:
    tab.open(question(world, back))
    assert tab.complaints() == []
    tab.press("Enter")  # the first one has the focus
    tab.until("location.host.startsWith('netshop.')")
    assert tab.run("new URLSearchParams(location.search).get('state')") == "s-1"
    asked = {
        "grant_type": "authorization_code",
        "client_id": "netshop",
        "redirect_uri": back,
        "code_verifier": VERIFIER,
    }
    told = tab.run(
        f"""(async () => {{
          const form = new URLSearchParams({asked!r});
          form.set("code", new URLSearchParams(location.search).get("code"));
          const tokens = await (await fetch("{issuer(world)}/token", {{ method: "POST", body: form }})).json();
          const headers = {{ Authorization: `Bearer ${{tokens.access_token}}` }};
          return [tokens.scope, await (await fetch("{issuer(world)}/userinfo", {{ headers }})).json()];
        }})()"""
    )
    assert told == ["openid org:read", {"sub": "user-1", "email": "alice@example.com"}]


def test_the_refusal_comes_back_too(world: World, back: str, tab: Tab) -> None:
    tab.open(question(world, back))
    tab.run("document.querySelector('button.plain').click()")
    tab.until("location.host.startsWith('netshop.')")
    assert tab.run("new URLSearchParams(location.search).get('error')") == "access_denied"


def test_another_sites_page_gets_no_token_and_no_frame(world: World, back: str, tab: Tab) -> None:
    stranger = world.origin().port
    tab.open(f"http://127.0.0.1:{stranger}/")
    tab.run(
        f"document.body.append(Object.assign(document.createElement('iframe'), {{ src: {question(world, back)!r} }}))"
    )
    # 127.0.0.1 may ask, as any program of this machine; a page without an origin of its own may not
    form = "new URLSearchParams({grant_type: 'client_credentials', client_id: 'alice'})"
    ask = f"fetch('{issuer(world)}/token', {{method: 'POST', body: {form}}}).then((a) => a.status, () => 'blocked')"
    assert tab.run(ask) == 200
    tab.run(
        "new Promise((done) => { const frame = Object.assign(document.createElement('iframe'), "
        f"{{ sandbox: 'allow-scripts', srcdoc: `<script>{ask}.then((a) => parent.postMessage(a, '*'))</script>` }});"
        "window.told = new Promise((told) => { onmessage = (event) => told(event.data) });"
        "document.body.append(frame); done() })"
    )
    assert tab.run("told") == "blocked"
    assert any("frame" in text for text in tab.complaints()), "the page is in no other page's frame"


def test_every_part_of_the_page_has_a_name(world: World, back: str, tab: Tab) -> None:
    tab.open(question(world, back))
    tab.ask("Accessibility.enable")
    nodes = [node for node in tab.ask("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    named = {"button", "link", "region", "form", "heading", "RootWebArea"}
    parts = [(node["role"]["value"], node["name"]["value"]) for node in nodes if node["role"]["value"] in named]
    assert [part for part in parts if not part[1]] == []
    buttons = {name for role, name in parts if role == "button"}
    assert {"alice user-1 Scopes: org:read org:write reserve:book", "bob bob no scopes", "Refuse"} <= buttons


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    ("language", "scheme", "ground"), [("en", "light", "247, 247, 245"), ("ja", "dark", "22, 24, 26")]
)
def test_nothing_is_cut_off(
    world: World, back: str, tab: Tab, width: int, language: str, scheme: str, ground: str
) -> None:
    tab.look(width, 800, scheme, language)
    wide = question(world, f"{back}?{'long' * 100}", client_id="client" * 40, login_hint="till")
    for url in (wide, f"{issuer(world)}/", f"{issuer(world)}/authorize?redirect_uri={'evil' * 100}&client_id=x"):
        tab.open(url)
        assert tab.run("document.documentElement.lang") == language
        assert tab.run("document.documentElement.scrollWidth") <= width
        assert tab.run("getComputedStyle(document.body).backgroundColor") == f"rgb({ground})"
