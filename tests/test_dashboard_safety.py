"""Who may not ask the dashboard: other sites' pages, names that lead here, other users, and whoever has no token."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from dashboard_page import Page
from workbench import Site, brought_up

from proxy_addons.dashboard.peer import is_local, is_stranger, owner_of
from proxy_addons.dashboard.session import Sessions
from proxy_addons.front.client import Client

STOP = ("POST", "/api/v1/services/stop", {"targets": ["shop"]})
LOOK = ("GET", "/api/v1/services", None)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.service("shop", "web: python3 -m http.server $PORT\n")
    with brought_up(made):
        yield made


@pytest.fixture(scope="module")
def page(site: Site) -> Page:
    return Page(site)


@pytest.fixture(scope="module")
def cookie(page: Page) -> str:
    """A browser's, that is signed in."""
    ticket = page.post("/api/v1/tickets", {})["ticket"]
    status, _, fields = page.ask("POST", "/api/v1/session", {"ticket": ticket}, Origin=f"http://{page.host}")
    assert status == 204
    return fields["Set-Cookie"].partition(";")[0]


@pytest.fixture(autouse=True)
def _still_running(page: Page) -> Iterator[None]:
    """Whatever a test tried: nothing was stopped by it."""
    yield
    assert page.get("/api/v1/services/shop")["state"] == "ready"


def test_a_browser_that_is_signed_in_reads_and_acts(page: Page, cookie: str) -> None:
    assert page.ask(*LOOK, Cookie=cookie)[0] == 200
    start = ("POST", "/api/v1/services/start", {"targets": ["shop"]})
    assert page.ask(*start, Cookie=cookie, Origin=f"http://{page.host}", Sec_Fetch_Site="same-origin")[0] == 200


def test_a_session_is_a_strict_cookie_that_no_script_reads(page: Page) -> None:
    ticket = page.post("/api/v1/tickets", {})["ticket"]
    _, _, fields = page.ask("POST", "/api/v1/session", {"ticket": ticket}, Origin=f"http://{page.host}")
    attributes = {part.strip() for part in fields["Set-Cookie"].split(";")[1:]}
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= attributes
    assert "Domain" not in fields["Set-Cookie"]


def test_a_ticket_is_good_once(page: Page) -> None:
    ticket = page.post("/api/v1/tickets", {})["ticket"]
    asked = ("POST", "/api/v1/session", {"ticket": ticket})
    assert page.ask(*asked, Origin=f"http://{page.host}")[0] == 204
    status, told, fields = page.ask(*asked, Origin=f"http://{page.host}")
    assert (status, told["hint"]) == (401, "A new one: stores open")
    assert "Set-Cookie" not in fields


def test_a_browser_makes_no_tickets_for_others(page: Page, cookie: str) -> None:
    assert page.ask("POST", "/api/v1/tickets", Cookie=cookie, Origin=f"http://{page.host}")[0] == 401


@pytest.mark.parametrize(
    "fields",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Origin": "http://shop.localhost:{port}", "Sec_Fetch_Site": "same-site"},  # SameSite lets it send the cookie
        {"Origin": "http://stores.localhost:1"},
        {"Origin": "https://stores.localhost:{port}"},
    ],
    ids=str,
)
@pytest.mark.parametrize("asked", [LOOK, STOP], ids=["read", "act"])
def test_a_page_of_another_origin_neither_reads_nor_acts(
    page: Page, cookie: str, asked: tuple[str, str, Any], fields: dict[str, str]
) -> None:
    sent = {name: value.format(port=page.port) for name, value in fields.items()}
    status, told, answered = page.ask(*asked, Cookie=cookie, **sent)
    assert status == 403
    assert "services" not in told
    assert not [name for name in answered if name.lower().startswith("access-control-")]


def test_a_form_without_an_origin_acts_on_nothing(page: Page, cookie: str) -> None:
    assert page.ask(*STOP, Cookie=cookie)[0] == 403


def test_a_form_of_the_pages_own_origin_is_no_json(page: Page, cookie: str) -> None:
    fields = {"Cookie": cookie, "Origin": f"http://{page.host}", "Content_Type": "text/plain"}
    assert page.ask(*STOP, **fields)[0] == 415


def test_no_preflight_is_ever_agreed_to(page: Page) -> None:
    fields = {"Origin": "https://evil.example", "Access_Control_Request_Method": "POST"}
    status, _, answered = page.ask("OPTIONS", "/api/v1/services/stop", **fields)
    assert status == 405
    assert not [name for name in answered if name.lower().startswith("access-control-")]


@pytest.mark.parametrize("host", ["evil.example", "stores.evil.example", "stores.localhost.evil.example"])
@pytest.mark.parametrize("asked", [LOOK, STOP], ids=["read", "act"])
def test_a_name_that_was_led_here_reaches_no_dashboard(
    page: Page, cookie: str, asked: tuple[str, str, Any], host: str
) -> None:
    fields = {"Host": f"{host}:{page.port}", "Origin": f"http://{host}:{page.port}", "Cookie": cookie}
    status, told, _ = page.ask(*asked, **fields, **page.program)
    assert status in {404, 421}
    assert b"shop" not in told if isinstance(told, bytes) else "services" not in told


@pytest.mark.parametrize("shown", ["{}x", "x{}", "", "é"], ids=["longer", "other", "none", "no ASCII"])
def test_a_wrong_token_is_none(page: Page, shown: str) -> None:
    shown = shown.format(page.token).encode().decode("latin-1")
    assert page.ask(*LOOK, Authorization=f"Bearer {shown}")[0] == 401
    assert page.ask(*STOP, Authorization=f"Bearer {shown}")[0] == 403


@pytest.mark.parametrize("change", [lambda c: c[:-1] + "x", lambda c: c.replace("=", "=9", 1), lambda c: c[:20]])
def test_a_forged_cookie_is_none(page: Page, cookie: str, change: Any) -> None:
    assert page.ask(*LOOK, Cookie=change(cookie))[0] == 401


def test_a_cookie_grows_old(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(tmp_path)
    value = sessions.cookie(secure=True).partition(";")[0]
    assert value.startswith("__Host-stores-")
    assert sessions.knows(f"a=b; {value}", secure=True)
    assert not sessions.knows(value, secure=False)
    monkeypatch.setattr("time.time", lambda: 4e9)
    assert not sessions.knows(value, secure=True)


_ASK = """
import http.client, sys
port, host, token = int(sys.argv[1]), sys.argv[2], sys.argv[3]
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
connection.request(sys.argv[4], sys.argv[5], sys.argv[6] or None, {"Host": host, "Authorization": f"Bearer {token}",
    "Content-Type": "application/json"})
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="only root can be another user for a moment")
@pytest.mark.parametrize(("method", "path"), [("GET", "/api/v1/services"), ("POST", "/api/v1/tickets")])
def test_another_user_is_refused_even_with_the_token(page: Page, site: Site, method: str, path: str) -> None:
    done = subprocess.run(
        ["/usr/bin/env", "python3", "-I", "-c", _ASK, str(page.port), page.host, page.token, method, path, ""],
        capture_output=True,
        text=True,
        user=65534,
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        check=True,
    )
    # the tests' own gateway is root's here, and root's services may ask: everybody else may not
    assert done.stdout.startswith("403 ")
    assert "Another user" in done.stdout


def test_what_another_user_could_read_are_not_the_secrets(page: Page, site: Site) -> None:
    folder = next(site.folder.glob("state/stores/workspaces/*/gateway"))
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "dashboard.token").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whose a connection is")
@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_kernel_says_whose_the_other_end_is(family: socket.AddressFamily, address: str) -> None:
    with (
        socket.create_server((address, 0), family=family) as listener,
        socket.create_connection(listener.getsockname()[:2]) as connection,
    ):
        accepted, peer = listener.accept()
        with accepted:
            client = Client(peer[:2], accepted.getsockname()[:2])
            assert owner_of(client) == (os.getuid(), os.fstat(connection.fileno()).st_ino)
            assert not is_stranger(client)


@pytest.mark.parametrize(
    ("address", "local"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("::ffff:127.0.0.1", True), ("192.168.1.7", False)],
)
def test_only_what_comes_over_loopback_is_of_this_machine(address: str, *, local: bool) -> None:
    assert is_local(Client((address, 1), ("127.0.0.1", 80))) is local


@pytest.mark.parametrize(
    "path",
    [
        "/static/../session.py",
        "/static/%2e%2e/session.py",
        "/static/..%2fsession.py",
        "/static//etc/passwd",
        "/static/x\u0000.js",
        "/static/",
        "/static/nothing.js",
        "/session.py",
        "/api/v2/services",
    ],
)
def test_no_path_leads_to_any_other_file(page: Page, path: str) -> None:
    assert page.ask("GET", path.replace("\u0000", "%00"))[0] == 404


def test_nothing_is_framed_sniffed_or_kept(page: Page) -> None:
    _, _, fields = page.ask(*LOOK, **page.program)
    assert fields["X-Content-Type-Options"] == "nosniff"
    assert fields["Cache-Control"] == "no-store"
    assert fields["Cross-Origin-Resource-Policy"] == "same-origin"
    _, _, fields = page.ask("GET", "/")
    assert "frame-ancestors 'none'" in fields["Content-Security-Policy"]


def test_a_huge_body_is_refused_and_the_connection_can_go_on(page: Page) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=30)
    connection.request("POST", "/api/v1/services/stop", b"x" * 300_000, {"Host": page.host})
    assert connection.getresponse().status == 413
    connection.close()
