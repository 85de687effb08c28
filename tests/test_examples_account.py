"""Signing in, as the other services and their pages see it."""

import re
import sys
import urllib.parse
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "examples"))

from trial import Service, Visitor, follow, sign_in


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    with Service("account", tmp_path_factory.mktemp("account")) as service:
        yield service.listening()


def test_the_session_is_for_all_services_of_the_domain(account):
    _, reply = sign_in(account)
    attributes = reply.cookie("session").split("; ")[1:]
    assert {"Domain=local.example.com", "HttpOnly", "Secure", "SameSite=Lax", "Path=/"} <= set(attributes)


def test_below_localhost_the_session_is_for_account_alone_as_browsers_want_it(account):
    _, reply = sign_in(account, host="account.localhost:8080", scheme="http")
    assert "Domain" not in reply.cookie("session")
    assert "Secure" not in reply.cookie("session")


def test_signing_in_leads_back_to_the_service_that_asked(account):
    visitor, reply = sign_in(account, app="netshop", return_to="/cart")
    assert follow(visitor, reply) == "https://netshop.local.example.com:8443/cart"


def test_signing_in_leads_back_to_a_whole_url_of_the_domain(account):
    visitor, reply = sign_in(account, return_to="https://reserve.local.example.com:8443/?week=1")
    assert follow(visitor, reply) == "https://reserve.local.example.com:8443/?week=1"


@pytest.mark.parametrize(
    "return_to",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "https://local.example.com.evil.example/",
        "https://netshop.local.example.com@evil.example/",
        "https://evil.example\\.local.example.com/",
        "javascript:alert(1)//.local.example.com",
        "/ok\r\nSet-Cookie: x=y",
    ],
)
def test_signing_in_never_leads_out_of_the_domain(account, return_to):
    visitor, reply = sign_in(account, return_to=return_to)
    assert follow(visitor, reply) == "/"


def test_a_service_name_cannot_smuggle_another_host(account):
    visitor, reply = sign_in(account, app="evil.example/", return_to="/")
    assert follow(visitor, reply) == "/"


def test_a_wrong_password_signs_nobody_in(account):
    visitor, reply = sign_in(account, password="wrong")
    assert reply.status == 422
    assert "do not belong together" in reply.body
    assert visitor.get("/api/me").json == {"user": None}


def test_a_form_without_its_csrf_token_is_refused(account):
    reply = Visitor(account, "account.local.example.com").post("/sign-in", login="alice", password="open-sesame")
    assert reply.status == 403
    assert not reply.cookie("session")


def test_a_page_of_another_site_cannot_send_the_form(account):
    visitor, _ = sign_in(account)
    visitor.headers = {"Origin": "https://evil.example"}
    assert visitor.post("/sign-out").status == 403


def test_signing_out_ends_the_session_and_not_only_the_cookie(account):
    visitor, _ = sign_in(account)
    session = visitor.cookies["session"]
    csrf = re.search(r'name="csrf" value="(\w+)"', visitor.get("/").body)[1]
    reply = visitor.post("/sign-out", csrf=csrf)
    assert "Max-Age=0" in reply.cookie("session")
    visitor.cookies["session"] = session
    assert visitor.get("/api/me").json == {"user": None}


def test_pages_of_the_domain_may_ask_who_is_signed_in(account):
    visitor, _ = sign_in(account)
    reply = visitor.get("/api/me", Origin="https://netshop.local.example.com:8443")
    assert reply.json["user"]["login"] == "alice"
    assert reply.headers["Access-Control-Allow-Origin"] == "https://netshop.local.example.com:8443"
    assert reply.headers["Access-Control-Allow-Credentials"] == "true"
    assert reply.headers["Vary"] == "Origin"


@pytest.mark.parametrize("origin", ["https://evil.example", "https://evillocal.example.com", "null"])
def test_pages_of_other_sites_may_not_ask_who_is_signed_in(account, origin):
    visitor, _ = sign_in(account)
    assert "Access-Control-Allow-Origin" not in visitor.get("/api/me", Origin=origin).headers


def test_a_ticket_gives_the_session_once(account):
    visitor, reply = sign_in(
        account, "account.localhost:8080", "http", app="netshop", return_to="/signed-in", ticket="1"
    )
    location = urllib.parse.urlsplit(follow(visitor, reply))
    assert (location.netloc, location.path) == ("netshop.localhost:8080", "/signed-in")
    ticket = urllib.parse.parse_qs(location.query)["ticket"][0]
    first, second = (Visitor(account).post_json("/api/tickets", {"ticket": ticket}) for _ in range(2))
    assert first.json["session"] == visitor.cookies["session"]
    assert second.status == 404
