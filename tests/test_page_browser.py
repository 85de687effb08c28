"""In a real browser: a session at `account` through the remote and then here; the page while its service starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import PROGRAM, Chromium, Tab, one_browser
from whole_system import WholeSystem

from tests.test_first_light import System

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not PROGRAM, reason="there is no Chromium here")]

WAIT = r"""
import http.server, os, pathlib, time
print("\x1b[33mwarming up\x1b[0m <b>slowly</b>", flush=True)
while not pathlib.Path("go").exists():
    time.sleep(0.02)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(f"<title>here</title>{self.path}".encode())
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"""


browser = pytest.fixture(scope="module")(one_browser)


@pytest.fixture
def tab(browser: Chromium) -> Tab:
    return browser.tab()


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    made = System(tmp_path)
    try:
        made.make_dev.wait_for("Ctrl-C ends all of it", patience=60)
        yield made
    finally:
        made.end()


def sign_in(tab: Tab, shop: str) -> None:
    """As a person does it: from the shop to account, and back by its redirects."""
    tab.open(f"{shop}/")
    tab.run("document.querySelector('a[href^=\"/sign-in\"]').click()")
    tab.until("location.host.startsWith('account.') && !!document.getElementById('password')")
    tab.run("document.getElementById('login').value = 'alice'")
    tab.run("document.getElementById('password').value = document.querySelector('.note code').textContent")
    tab.run("document.querySelector('form[action=\"/sign-in\"]').requestSubmit()")
    tab.until("location.host.startsWith('netshop.') && document.readyState === 'complete'")


def route_of_account(tab: Tab, account: str) -> str:
    tab.open(f"{account}/healthz")
    return str(tab.run("fetch('/healthz').then((answer) => answer.headers.get('X-Stores-Route'))"))


def test_a_session_goes_through_the_remote_and_then_through_the_local_account(
    system: System, browser: Chromium
) -> None:
    port = system.status()["gateway"]["https"]
    shop, account = (f"https://{name}.local.example.com:{port}" for name in ("netshop", "account"))
    for route in ("remote", "local"):
        if route == "local":
            system.ok("start", "account")
        tab = browser.tab()
        assert route_of_account(tab, account) == route
        sign_in(tab, shop)
        assert tab.url.startswith(f"{shop}/")
        tab.until("document.body.innerText.includes('Alice Arai')")  # asked by the shop's server, with the cookie
        tab.until("document.getElementById('hints').lastChild.textContent.includes('Alice Arai')")  # and by CORS
        tab.open(f"{account}/")
        assert "Alice Arai" in tab.text


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[WholeSystem]:
    made = WholeSystem(tmp_path)
    made.program("wait.py", WAIT)
    made.service("slow", "web: exec python3 wait.py", setup="", remote=False)
    try:
        made.begin_all()
        yield made
    finally:
        made.end()


def test_the_button_starts_it_the_output_goes_on_and_the_answer_comes_by_itself(waiting: WholeSystem, tab: Tab) -> None:
    address = f"http://{waiting.host('slow')}/cart?item=3"
    tab.open(address)
    assert "slow is not running" in tab.text
    tab.run("document.querySelector('.press button').click()")
    tab.until("document.body && document.body.innerText.includes('slow is starting')")
    assert tab.url == address
    tab.until("document.querySelector('.log').innerText.includes('warming up <b>slowly</b>')")
    assert tab.run("getComputedStyle(document.querySelector('.log .yellow')).fontFamily.includes('mono')")
    (waiting.root / "go").touch()
    tab.until("document.title === 'here'")
    assert tab.url == address
    assert [text for text in tab.complaints() if "503" not in text and "favicon" not in text] == []


def test_it_can_be_used_by_keyboard_and_every_part_has_a_name(waiting: WholeSystem, tab: Tab) -> None:
    tab.open(f"http://{waiting.host('slow')}/")
    tab.ask("Accessibility.enable")
    nodes = [node for node in tab.ask("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    named = {"button", "link", "region", "heading", "table", "RootWebArea", "columnheader", "rowheader"}
    parts = [(node["role"]["value"], node["name"]["value"]) for node in nodes if node["role"]["value"] in named]
    assert ("button", "Start slow") in parts
    assert [part for part in parts if not part[1] and part[0] != "table"] == []
    assert tab.run("[...document.querySelectorAll('h1, h2')].map((heading) => heading.tagName).join()").startswith(
        "H1,H2"
    )
    assert tab.run("document.documentElement.lang") == "en"
    tab.press("Tab")
    assert tab.run("document.activeElement.textContent") == "Start slow"
    assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.press("Enter")
    tab.until("document.body && document.body.innerText.includes('slow is starting')")


def test_a_script_is_told_why_its_web_socket_is_closed(waiting: WholeSystem, tab: Tab) -> None:
    tab.open(f"http://{waiting.host('slow')}/.stores/nothing")
    ended = tab.run(
        f"new Promise((told) => {{ new WebSocket('ws://{waiting.host('slow')}/live', ['vite-hmr']).onclose = "
        "(event) => told([event.code, event.reason, event.wasClean]) })"
    )
    assert ended == [1013, "slow is not running: stores start slow", True]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(("language", "title"), [("en", "slow is not running"), ("ja", "slow\xa0は起動していません")])
def test_nothing_of_the_page_is_cut_off(waiting: WholeSystem, tab: Tab, width: int, language: str, title: str) -> None:
    tab.look(width, 800, "dark", language)
    tab.open(f"http://{waiting.host('slow')}/{'long' * 100}")
    assert tab.run("document.querySelector('h1').textContent") == title
    assert tab.run("document.documentElement.scrollWidth") <= width
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 26)"  # the style was let in
