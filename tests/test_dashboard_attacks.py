"""A browser that is signed in to the dashboard, on hostile pages: none of them reads anything, none of them acts."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from chromium import PROGRAM, Chromium, Tab, one_browser
from dashboard_page import Page
from workbench import Site, brought_up

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not PROGRAM, reason="there is no Chromium here")]

#: Tries every way in that a page has, and says what came of each: "read …" is what must not be.
ATTACK = """
(async target => {
  const found = {};
  const stop = JSON.stringify({ targets: ["shop"] });
  const asked = {
    "read": ["/services", {}],
    "read without CORS": ["/services", { mode: "no-cors" }],
    "act": ["/services/stop", { method: "POST", body: stop, headers: { "Content-Type": "application/json" } }],
    "act without CORS": ["/services/stop", { method: "POST", body: stop, mode: "no-cors" }],
    "make a ticket": ["/tickets", { method: "POST", mode: "no-cors" }],
  };
  for (const [name, [path, more]] of Object.entries(asked)) {
    try {
      const answer = await fetch(`${target}/api/v1${path}`, { credentials: "include", ...more });
      found[name] = answer.type === "opaque" ? "opaque" : `${answer.status} ${await answer.text()}`;
    } catch { found[name] = "blocked"; }
  }
  found.stream = await new Promise(done => {
    const stream = new EventSource(`${target}/api/v1/stream`, { withCredentials: true });
    stream.addEventListener("services", event => done(`read ${event.data}`));
    stream.onerror = () => { stream.close(); done("blocked"); };
  });
  found.script = await new Promise(done => {
    const script = document.createElement("script");
    script.src = `${target}/api/v1/services`;
    script.onerror = () => done("blocked");
    script.onload = () => done("read a script");
    document.documentElement.append(script);
  });
  found.form = await new Promise(done => {
    document.documentElement.insertAdjacentHTML("beforeend", `
      <iframe name="hole"></iframe>
      <form method="post" enctype="text/plain" target="hole" action="${target}/api/v1/services/stop">
        <input name='{"targets": ["shop"], "x": "' value='"}'></form>`);
    const frame = document.querySelector("iframe[name=hole]");
    document.querySelector("form").submit();
    frame.onload = () => {
      try { done(`read ${frame.contentDocument.body.innerText}`); } catch { done("blocked"); }
    };
  });
  return found;
})(%s)
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    site = Site(tmp_path_factory.mktemp("site"))
    site.service("shop", "web: python3 -m http.server $PORT\n")
    with brought_up(site):
        yield Page(site)


browser = pytest.fixture(scope="module")(one_browser)


@pytest.fixture(scope="module")
def evil() -> Iterator[int]:
    """The port of a site of somebody else's."""

    class Evil(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>win</title><h1>You have won</h1>")

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Evil) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def signed_in(browser: Chromium, page: Page) -> Iterator[Tab]:
    """A tab whose browser has the cookies of both of the dashboard's addresses."""
    tab = browser.tab()
    for origin in (f"http://{page.host}", f"https://stores.local.example.com:{page.https}"):
        tab.open(f"{origin}/#ticket={page.post('/api/v1/tickets', {})['ticket']}")
        tab.until("(async () => (await fetch('/api/v1/services')).status === 200)()")
    yield tab
    tab.open("about:blank")


def attacked(tab: Tab, target: str) -> dict[str, str]:
    found = tab.run(ATTACK % json.dumps(target))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_a_page_of_another_site_neither_reads_nor_acts(signed_in: Tab, page: Page, evil: int, *, secure: bool) -> None:
    target = f"https://stores.local.example.com:{page.https}" if secure else f"http://{page.host}"
    signed_in.open(f"http://evil.localhost:{evil}/")
    assert set(attacked(signed_in, target).values()) <= {"blocked", "opaque"}
    assert page.get("/api/v1/services/shop")["state"] == "ready"


def test_a_page_of_a_service_of_the_same_site_neither_reads_nor_acts(signed_in: Tab, page: Page) -> None:
    """Its requests do carry the cookie: to a browser both hosts are example.com's."""
    signed_in.open(f"https://shop.local.example.com:{page.https}/")
    found = attacked(signed_in, f"https://stores.local.example.com:{page.https}")
    assert set(found.values()) <= {"blocked", "opaque"}
    assert page.get("/api/v1/services/shop")["state"] == "ready"


def test_a_name_that_was_led_here_finds_no_dashboard(signed_in: Tab, page: Page) -> None:
    """As after DNS rebinding: the hostile page's own origin is now this gateway."""
    signed_in.open(f"http://evil.localhost:{page.port}/")
    found = attacked(signed_in, f"http://evil.localhost:{page.port}")
    for said in found.values():
        assert '"services":' not in said
        assert not said.startswith("2")
    assert page.get("/api/v1/services/shop")["state"] == "ready"
