"""The issuer's site: who gets a code, a token or an answer, and who does not. It is asked without a socket here."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from issuer_world import (
    ALICE,
    ASKED,
    AUTH,
    BACK,
    BOB,
    CHALLENGE,
    FORM,
    HTML,
    World,
    changed,
    claims,
    read,
    told,
)

from procman.identity import Identity
from proxy_addons.fallback import button
from proxy_addons.fallback.words import PAGES
from proxy_addons.issuer.issuer import Terms
from proxy_addons.site import Site


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_sign_in_from_the_page_to_who_it_was(world: World) -> None:
    back = world.press(world.authorize(), "alice")
    assert back.headers["Location"].startswith(f"{BACK}?")
    assert (told(back)["state"], told(back)["iss"]) == ("s&t=1", str(AUTH))
    answer = world.redeem(told(back)["code"])
    tokens = read(answer)
    assert (answer.status, answer.headers["Cache-Control"], answer.headers["Pragma"]) == (200, "no-store", "no-cache")
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 3600, "openid org:read")
    access = world.issuer.verify(tokens["access_token"])
    assert (access["sub"], access["scope"], access["client_id"]) == ("user-1", "openid org:read", "netshop")
    who = world.issuer.verify(tokens["id_token"], "netshop")
    half = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    assert (who["nonce"], who["auth_time"], who["sub"]) == ("n-1", world.now, "user-1")
    assert who["at_hash"] == base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    assert "scope" not in who
    info = world.ask("GET", "/userinfo", authorization=f"Bearer {tokens['access_token']}")
    assert read(info) == {"sub": "user-1", "email": "alice@example.com"}


def test_an_id_token_opens_nothing(world: World) -> None:
    who = read(world.redeem(world.code()))["id_token"]
    assert json.loads(base64.urlsafe_b64decode(who.split(".")[0] + "=="))["alg"] == "RS256"
    refused = world.ask("GET", "/userinfo", authorization=f"Bearer {who}")
    assert (refused.status, read(refused)["error"]) == (403, "insufficient_scope")
    with pytest.raises(ValueError, match="wrong_audience"):
        world.issuer.verify(who)


def test_a_code_is_good_once(world: World) -> None:
    code = world.code()
    assert world.redeem(code).status == 200
    again = world.redeem(code)
    assert (again.status, read(again)["error"]) == (400, "invalid_grant")


def test_a_code_is_good_for_a_minute(world: World) -> None:
    early, late = world.code(), world.code()
    world.ticks = 59.9
    assert world.redeem(early).status == 200
    world.ticks = 60.0
    assert read(world.redeem(late))["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "other"},
        {"redirect_uri": f"{BACK}/"},
        {"redirect_uri": None},
        {"code_verifier": "w" * 43},
        {"code_verifier": None},
        {"code_verifier": CHALLENGE},
        {"code": "guessed"},
        {"code": None},
    ],
    ids=str,
)
def test_a_code_is_bound_to_client_redirect_and_verifier(world: World, changes: dict[str, str | None]) -> None:
    code = world.code()
    refused = world.redeem(code, **changes)
    assert (refused.status, read(refused)["error"]) == (400, "invalid_grant")
    if "code" not in changes:
        assert read(world.redeem(code))["error"] == "invalid_grant", "one attempt is all there is"


def test_a_flood_of_sign_ins_fills_no_memory(world: World) -> None:
    first = world.code()
    page = world.authorize()
    for _ in range(1024):
        world.press(page, "alice")
    assert read(world.redeem(first))["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "url",
    [
        "https://netshop.local.example.com/callback",
        "http://netshop.local.example.com:8080/callback?a=1&b=2",
        "http://netshop.localhost:8080",
        "https://NETSHOP.local.example.com/",
        "http://localhost:3000/cb",
        "http://127.0.0.1:49152/",
        "http://[::1]:5173/cb?x",
        "http://localhost?x=1",
    ],
)
def test_a_code_goes_to_the_workspaces_own_hosts(world: World, url: str) -> None:
    back = world.press(world.authorize(redirect_uri=url), "alice")
    location = back.headers["Location"]
    assert location.startswith(url + ("&" if "?" in url else "?"))
    assert "code" in told(back)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "//evil.example/",
        "https:evil.example",
        "https:/netshop.local.example.com",
        "https:///netshop.local.example.com",
        "https://unknown.local.example.com/",
        "https://local.example.com.evil.example/",
        "https://netshop.local.example.com.evil.example/",
        "https://evilnetshop.local.example.com/",
        "https://netshop.local.example.com@evil.example/",
        "https://netshop.local.example.com:pw@evil.example/",
        "https://evil.example#netshop.local.example.com",
        "https://evil.example\\@netshop.local.example.com/",
        "https://evil.example\\.netshop.local.example.com/",
        "https://netshop.local.example.com\\@evil.example/",
        "https://netshop.local.example.com%2eevil.example/",
        "https://netshop.local.example.com%00.evil.example/",
        "https://netshop.local.example.com\t.evil.example/",
        "https://netshop.local.example.com /",
        "https://netshop.local.example.com/\r\nSet-Cookie: a=b",
        "https://netshop.local.example.com/#fragment",
        "https://netshop.local.example.com:99999/",
        "https://netshop.local.example.com:/",
        "https://\N{FULLWIDTH LATIN SMALL LETTER N}etshop.local.example.com/",
        "https://netshop。local.example.com/",
        "javascript:alert(1)//netshop.local.example.com",
        "data:text/html,netshop.local.example.com",
        "file:///etc/passwd",
        "ftp://netshop.local.example.com/",
        "com.example.app:/callback",
        "http://127.0.0.1.evil.example/",
        "http://localhost.evil.example/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0.0.0.0/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::1%25lo]/",
        "/callback",
        "netshop.local.example.com",
        f"https://netshop.local.example.com/{'a' * 2048}",
    ],
)
def test_no_code_and_no_error_goes_anywhere_else(world: World, url: str) -> None:
    """An open redirector would hand codes to strangers, and lend them our name."""
    for changes in ({}, {"response_type": "token"}, {"prompt": "none"}):
        answer = world.authorize(redirect_uri=url, **changes)
        assert answer.status == 400
        assert "Location" not in answer.headers
        assert "<form" not in answer.body.decode()
        assert "A browser is sent only to a host of this workspace" in answer.body.decode()
    token = button.token(AUTH)
    query = urlencode({"token": token, **ASKED, "redirect_uri": url})
    pressed = world.ask(
        "POST",
        f"/authorize?{query}",
        "identity=alice",
        origin=str(AUTH),
        content_type=FORM,
        sec_fetch_site="same-origin",
    )
    assert (pressed.status, "Location" in pressed.headers) == (400, False)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"scope": 'open"id'}, "invalid_scope"),
        ({"scope": "openid  profile"}, "invalid_scope"),
        ({"prompt": "none"}, "login_required"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"request_uri": "https://evil.example/"}, "request_uri_not_supported"),
    ],
)
def test_a_wrong_question_is_answered_to_the_client(world: World, changes: dict[str, str | None], error: str) -> None:
    answer = told(world.authorize(**changes))
    assert (answer["error"], answer["state"], answer["iss"]) == (error, "s&t=1", str(AUTH))
    assert answer["error_description"]


def test_bytes_that_are_no_text_are_answered_like_any_others(world: World) -> None:
    """As a path with such bytes comes out of mitmproxy."""
    asked = urlencode({**ASKED, "response_type": "none", "state": "S"}).replace("state=S", "state=\udcff")
    answer = told(world.ask("GET", f"/authorize?{asked}"))
    assert (answer["error"], answer["state"]) == ("unsupported_response_type", "\ufffd")


@pytest.mark.parametrize("missing", ["client_id", "redirect_uri"])
def test_a_question_without_a_way_back_is_shown(world: World, missing: str) -> None:
    answer = world.authorize(**{missing: None})
    assert answer.status == 400
    assert f"{missing} is missing" in answer.body.decode()
    program = world.ask("GET", "/authorize?client_id=x", accept="application/json")
    assert read(program)["error_description"] == "redirect_uri is missing"


def test_a_parameter_twice_is_refused(world: World) -> None:
    twice = world.ask("GET", f"/authorize?{urlencode(ASKED)}&redirect_uri=http://localhost/", **HTML)
    assert twice.status == 400
    assert "redirect_uri is there twice" in twice.body.decode()
    refused = world.ask("POST", "/token", "grant_type=client_credentials&client_id=a&client_id=b", content_type=FORM)
    assert (refused.status, read(refused)["error"]) == (400, "invalid_request")


def test_whoever_refuses_is_denied(world: World) -> None:
    assert told(world.press(world.authorize(), ""))["error"] == "access_denied"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "https://netshop.local.example.com", "sec_fetch_site": "same-site"},
        {"origin": "null"},
        {"origin": ""},
        {"sec_fetch_site": "cross-site"},
        {"origin": "http://auth.local.example.com"},
    ],
    ids=str,
)
def test_only_the_page_itself_can_pick(world: World, headers: dict[str, str]) -> None:
    answer = world.press(world.authorize(), "alice", **headers)
    assert (answer.status, "Location" in answer.headers) == (403, False)


def test_nothing_is_picked_without_the_pages_token_or_by_get(world: World) -> None:
    query = urlencode(ASKED)
    same = {"origin": str(AUTH), "sec_fetch_site": "same-origin", "content_type": FORM}
    for path in (f"/authorize?{query}", f"/authorize?{query}&token=guessed"):
        answer = world.ask("POST", path, "identity=alice", **same, **HTML)
        assert (answer.status, "Location" in answer.headers) == (403, False)
    answer = world.ask("GET", f"/authorize?{query}&identity=alice&token={button.token(AUTH)}", **same, **HTML)
    assert (answer.status, "Location" in answer.headers) == (200, False)


def test_who_has_left_the_file_cannot_be_picked_or_redeemed(world: World) -> None:
    page, code = world.authorize(), world.code()
    world.known = (BOB,)
    assert "alice is not in stores.toml any more" in world.press(page, "alice").body.decode()
    assert read(world.redeem(code))["error"] == "invalid_grant"


def test_a_hint_puts_one_first(world: World) -> None:
    names = re.findall('<button name="identity" value="([^"]+)"', world.authorize(login_hint="user-2").body.decode())
    assert names == ["bob", "alice"]


def test_a_client_in_its_own_name_is_an_identity(world: World) -> None:
    answer = world.token(grant_type="client_credentials", client_id="alice")
    tokens = read(answer)
    assert set(tokens) == {"access_token", "token_type", "expires_in", "scope"}
    assert world.issuer.verify(tokens["access_token"])["scope"] == "org:read org:write"
    for name in ("audience", "resource"):
        told = read(world.token(grant_type="client_credentials", client_id="alice", **{name: "https://x.example"}))
        assert claims(told["access_token"])["aud"] == "https://x.example"


def basic(text: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


def test_a_client_may_say_who_it_is_by_basic(world: World) -> None:
    assert world.token(headers=basic("alice:any secret"), grant_type="client_credentials").status == 200
    both = world.token(headers=basic("alice:x"), grant_type="client_credentials", client_id="bob")
    assert read(both)["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("form", "headers", "status", "error", "said"),
    [
        ({"grant_type": None, "client_id": "alice"}, {}, 400, "invalid_request", "grant_type is missing"),
        ({"grant_type": "password", "client_id": "alice"}, {}, 400, "unsupported_grant_type", "authorization_code"),
        ({"client_id": "mallory"}, {}, 401, "invalid_client", "There is: alice, bob"),
        ({}, {}, 401, "invalid_client", "client_id is missing"),
        ({}, {"authorization": "Basic !"}, 401, "invalid_client", "no Basic header"),
        ({}, {"authorization": "Bearer x"}, 401, "invalid_client", "by Basic"),
        ({"client_id": "alice", "scope": "org:admin"}, {}, 400, "invalid_scope", "alice has not org:admin"),
        ({"client_id": "bob", "scope": "org:read"}, {}, 400, "invalid_scope", "It has: none"),
        ({"client_id": "alice"}, {"content_type": "application/json"}, 400, "invalid_request", "must be a form"),
        ({"client_id": "alice"}, {"origin": "https://evil.example"}, 403, "invalid_request", "may not do this"),
        ({"client_id": "alice"}, {"origin": "null"}, 403, "invalid_request", "may not do this"),
        ({"client_id": "alice", "grant_type": "refresh_token"}, {}, 400, "invalid_grant", "restarted"),
        ({"client_id": 'm"a\\l\nlory'}, {}, 401, "invalid_client", "m'a/l?lory"),
    ],
    ids=str,
)
def test_errors_are_those_of_the_specification(
    world: World, form: dict[str, str | None], headers: dict[str, str], status: int, error: str, said: str
) -> None:
    given = changed({"grant_type": "client_credentials"}, form)
    answer = world.ask("POST", "/token", urlencode(given), **{"content_type": FORM, **headers})
    document = read(answer)
    assert (answer.status, document["error"]) == (status, error)
    assert said in document["error_description"]
    assert set(document) == {"error", "error_description"}
    assert ("WWW-Authenticate" in answer.headers) is (status == 401)
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_refresh_token_replaces_itself(world: World) -> None:
    tokens = read(world.redeem(world.code(scope="openid offline_access org:read")))
    world.now += 3600
    with pytest.raises(ValueError, match="expired"):
        world.issuer.verify(tokens["access_token"])
    again = {"grant_type": "refresh_token", "client_id": "netshop", "refresh_token": tokens["refresh_token"]}
    fresh = read(world.token(**again))
    assert world.issuer.verify(fresh["access_token"])["scope"] == "openid offline_access org:read"
    assert fresh["refresh_token"] != tokens["refresh_token"]
    assert read(world.token(**again))["error"] == "invalid_grant"
    stolen = {**again, "refresh_token": fresh["refresh_token"], "client_id": "other"}
    assert read(world.token(**stolen))["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("authorization", "status", "error"),
    [
        ("", 401, None),
        ("Basic eA==", 401, None),
        ("Bearer", 401, None),
        ("Bearer nonsense", 401, "invalid_token"),
        ("Bearer {over}", 401, "invalid_token"),
        ("Bearer {bare}", 403, "insufficient_scope"),
        ("Bearer {gone}", 401, "invalid_token"),
        ("bearer {good}", 200, None),
    ],
)
def test_userinfo_answers_as_bearer_tokens_are_answered(
    world: World, authorization: str, status: int, error: str | None
) -> None:
    tokens = {
        "over": world.issuer.sign(ALICE, scopes=("openid",), expires_in=-1),
        "bare": world.issuer.sign(ALICE),
        "gone": world.issuer.sign(Identity("carol", "c"), scopes=("openid",)),
        "good": world.issuer.sign(ALICE, scopes=("openid",)),
    }
    answer = world.ask("GET", "/userinfo", authorization=authorization.format_map(tokens))
    assert answer.status == status
    challenge = answer.headers.get("WWW-Authenticate", "")
    assert (f'error="{error}"' in challenge) if error else ("error=" not in challenge)
    assert bool(challenge) is (status != 200)


OWN, FOREIGN = "http://netshop.localhost:8080", "https://evil.example"


@pytest.mark.parametrize(
    ("path", "origin", "allowed"),
    [
        ("/token", OWN, OWN),
        ("/token", "http://localhost:5173", "http://localhost:5173"),
        ("/token", FOREIGN, None),
        ("/token", "null", None),
        ("/userinfo", OWN, OWN),
        ("/userinfo", FOREIGN, None),
        ("/.well-known/jwks.json", FOREIGN, "*"),
        ("/.well-known/openid-configuration", FOREIGN, "*"),
        ("/authorize", OWN, None),
        ("/", OWN, None),
    ],
)
def test_pages_of_the_workspace_may_ask_and_others_may_not(world: World, path: str, origin: str, allowed: str) -> None:
    preflight = world.ask("OPTIONS", path, origin=origin, access_control_request_method="POST")
    answer = world.ask("POST" if path == "/token" else "GET", path, origin=origin, content_type=FORM, **HTML)
    for one in (preflight, answer):
        assert one.headers.get("Access-Control-Allow-Origin") == allowed
        assert "Access-Control-Allow-Credentials" not in one.headers
    assert allowed is None or preflight.status == 204


@pytest.mark.parametrize(
    "site", [AUTH, Site("https", "auth.local.example.com", 8443), Site("http", "auth.localhost", 8080)], ids=str
)
def test_a_client_finds_the_issuer_where_it_asked(world: World, site: Site) -> None:
    for path in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
        document = read(world.ask("GET", path, site=site))
        assert document["issuer"] == str(site)
        assert document["code_challenge_methods_supported"] == ["S256"]
        assert {document[name] for name in document if name.endswith(("_endpoint", "_uri"))} == {
            f"{site}{path}" for path in ("/authorize", "/token", "/userinfo", "/logout", "/.well-known/jwks.json")
        }
    back = told(world.press(world.authorize(site), "alice", site))
    tokens = read(world.redeem(back["code"], site))
    assert back["iss"] == str(site)
    assert {world.issuer.authentic(tokens[name])["iss"] for name in ("access_token", "id_token")} == {str(site)}


def test_an_issuer_that_was_written_down_is_said_at_every_door(world: World) -> None:
    world.terms = Terms("local.example.com", "https://id.example.com", "api", "ES256", 60, fixed=True)
    site = Site("http", "auth.localhost", 8080)
    document = read(world.ask("GET", "/.well-known/openid-configuration", site=site))
    assert (document["issuer"], document["token_endpoint"]) == ("https://id.example.com", f"{site}/token")
    tokens = read(world.redeem(world.code(site=site), site))
    assert world.issuer.verify(tokens["access_token"])["iss"] == "https://id.example.com"


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("POST", "/", 405, "GET, HEAD"),
        ("GET", "/token", 405, "POST"),
        ("DELETE", "/authorize", 405, "GET, HEAD, POST"),
        ("OPTIONS", "/authorize", 405, "GET, HEAD, POST"),
        ("GET", "/nothing", 404, None),
        ("GET", "/token/", 404, None),
    ],
)
def test_what_there_is_not(world: World, method: str, path: str, status: int, allow: str | None) -> None:
    answer = world.ask(method, path)
    assert (answer.status, answer.headers.get("Allow")) == (status, allow)


def test_damaged_keys_are_said_to_whoever_asks(world: World) -> None:
    world.issuer.sign(ALICE)
    world.issuer.keys.file.write_text("{}")
    for answer in (
        world.ask("GET", "/.well-known/jwks.json"),
        world.token(grant_type="client_credentials", client_id="alice"),
    ):
        assert (answer.status, read(answer)["error"]) == (500, "server_error")
        assert f"mv {world.issuer.keys.file}" in read(answer)["error_description"]
    assert world.authorize().status == 200


EVIL = '"><script>alert(1)</script>'


def test_the_page_escapes_what_it_shows(world: World) -> None:
    world.known = (Identity("alice", EVIL, (EVIL,)),)
    for answer in (
        world.authorize(client_id=EVIL, state=EVIL, nonce=EVIL, login_hint=EVIL),
        world.authorize(redirect_uri=EVIL),
        world.ask("GET", "/", **HTML),
    ):
        text = answer.body.decode()
        assert "<script" not in text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Cache-Control"] == "no-store"


def test_the_pages_speak_two_languages(world: World) -> None:
    query = urlencode(ASKED)
    for path, english, japanese in (
        (f"/authorize?{query}", "Who are you this time?", "今回は誰になりますか\N{FULLWIDTH QUESTION MARK}"),
        ("/authorize", "This sign-in cannot begin", "このサインインは始められません"),
        ("/", "The issuer of this workspace", "このワークスペースの発行者"),
    ):
        one = world.ask("GET", path, **HTML, accept_language="en-GB,ja;q=0.5")
        other = world.ask("GET", path, **HTML, accept_language="ja,en-US;q=0.7")
        assert (one.headers["Content-Language"], other.headers["Content-Language"]) == ("en", "ja")
        assert f">{english}</h1>" in one.body.decode()
        assert f">{japanese}</h1>" in other.body.decode()
        assert '<html lang="ja">' in other.body.decode()


def test_both_languages_have_the_same_words() -> None:
    from proxy_addons.issuer.pages import _all_words  # noqa: PLC0415 - what is tested

    words = _all_words()
    for name, text in words["en"].items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", words["ja"][name])), name
    assert set(words["en"]) == set(words["ja"])
    places = ("issuer/pages.py", "pages/issuer.html", "pages/commands.html")
    used = "".join((PAGES.parent / name).read_text() for name in places)
    assert [name for name in words["en"] if name not in used] == []


def test_a_workspace_without_identities_says_how_to_write_one(world: World) -> None:
    world.known = ()
    assert "[identity.alice]" in world.authorize().body.decode()
    assert "[identity.alice]" in world.ask("GET", "/", **HTML).body.decode()
    assert "[identity.alice]" in world.ask("GET", "/").body.decode()
