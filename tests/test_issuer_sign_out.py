"""Signing out of the issuer (OpenID Connect RP-Initiated Logout 1.0): what ends, and where the browser is sent."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest
from issuer_world import ALICE, AUTH, FORM, HTML, World, read

BYE = "https://netshop.local.example.com/bye"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def sign_in(world: World, name: str = "alice", client: str = "netshop") -> dict[str, str]:
    code = world.code(name, scope="openid offline_access", client_id=client)
    return read(world.redeem(code, client_id=client))


def refreshes(world: World, tokens: dict[str, str], client: str = "netshop") -> bool:
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": client}
    return world.token(**form).status == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_clients_refresh_tokens_end_and_the_browser_goes_back(world: World, method: str) -> None:
    tokens, of_bob, at_another = sign_in(world), sign_in(world, "bob"), sign_in(world, client="reserve")
    asked = urlencode({"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BYE, "state": "s&1"})
    answer = (
        world.ask("GET", f"/logout?{asked}", **HTML)
        if method == "GET"
        else world.ask("POST", "/logout", asked, content_type=FORM, **HTML)
    )
    assert (answer.status, answer.headers["Location"]) == (303, f"{BYE}?state=s%261")
    assert not refreshes(world, tokens)
    assert refreshes(world, of_bob)
    assert refreshes(world, at_another, "reserve")


def test_a_hint_that_is_over_is_as_good(world: World) -> None:
    tokens = sign_in(world)
    world.now += 2 * world.terms.ttl
    assert world.ask("GET", f"/logout?{urlencode({'id_token_hint': tokens['id_token']})}", **HTML).status == 200
    assert not refreshes(world, tokens)


def test_without_a_way_back_the_page_says_so(world: World) -> None:
    page = world.ask("GET", "/logout", **HTML)
    assert (page.status, b"You are signed out" in page.body) == (200, True)
    line = world.ask("GET", "/logout")
    assert (line.status, line.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")


@pytest.mark.parametrize("url", ["https://evil.example/", "javascript:alert(1)", "//evil.example", BYE + "#x"])
def test_nobody_is_sent_elsewhere_and_then_nothing_ends(world: World, url: str) -> None:
    tokens = sign_in(world)
    asked = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": url}
    answer = world.ask("GET", f"/logout?{urlencode(asked)}", **HTML)
    assert (answer.status, "Location" in answer.headers) == (400, False)
    assert b"post_logout_redirect_uri" in answer.body
    assert refreshes(world, tokens)


def test_a_hint_of_nobody_or_of_another_client_ends_nothing(world: World) -> None:
    tokens = sign_in(world)
    forged = tokens["id_token"][:-4] + "AAAA"
    for asked in (
        {"id_token_hint": forged},
        {"id_token_hint": "x"},
        {"id_token_hint": tokens["id_token"], "client_id": "reserve"},
    ):
        answer = world.ask("GET", f"/logout?{urlencode(asked)}", **HTML)
        assert (answer.status, b"id_token_hint" in answer.body) == (400, True), asked
    access = world.issuer.sign(ALICE)  # no ID token: its audience is no client that has refresh tokens
    world.ask("GET", f"/logout?{urlencode({'id_token_hint': access})}", **HTML)
    assert refreshes(world, tokens)


def test_discovery_names_it(world: World) -> None:
    found = read(world.ask("GET", "/.well-known/openid-configuration"))
    assert found["end_session_endpoint"] == f"{AUTH}/logout"
