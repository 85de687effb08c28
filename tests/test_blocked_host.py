"""A framework that does not know its host says so in its own words: the gateway reads along, and names the setting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from supervising import Supervising
from whole_system import Page, WholeSystem
from workbench import wait_until

from proxy_addons.front.blocked_host import Asked, advice
from proxy_addons.front.client import Client
from proxy_addons.front.exchange import Request, Response
from proxy_addons.front.overhearing import Refusals
from proxy_addons.view import Current

#: What the real ones sent, versions as in tests/frameworks; Rails' and Angular's made from their sources.
REFUSALS = Path(__file__).parent / "frameworks" / "refusals"
ASKED = Asked("x.local.example.com", "local.example.com")


@pytest.mark.parametrize(
    ("file", "path", "told"),
    [
        ("angular.txt", "/", "ng serve --allowed-hosts .local.example.com"),
        ("vite.txt", "/", 'server.allowedHosts: [".local.example.com"]'),
        ("vite-preview.txt", "/", 'preview.allowedHosts: [".local.example.com"]'),
        ("webpack-dev-server.txt", "/", "webpack serve --allowed-hosts .local.example.com"),
        ("next.txt", "/_next/webpack-hmr?id=1", 'allowedDevOrigins: ["*.local.example.com"]'),
        ("django-host.html", "/", 'ALLOWED_HOSTS = [".local.example.com"]'),
        ("django-csrf.html", "/admin/login/", "SECURE_PROXY_SSL_HEADER"),
        ("rails-6.html", "/", "RAILS_DEVELOPMENT_HOSTS"),
        ("rails-7.txt", "/", 'config.hosts << ".local.example.com"'),
        ("jupyter.html", "/lab", "--ServerApp.local_hostnames=x.local.example.com"),
        ("starlette.txt", "/", 'allowed_hosts=["*.local.example.com"]'),
        ("flask.html", "/", 'app.config["TRUSTED_HOSTS"] = [".local.example.com"]'),
    ],
)
def test_a_real_refusal_names_the_framework_the_host_and_the_setting(file: str, path: str, told: str) -> None:
    said = advice(Asked(ASKED.host, ASKED.domain, path), (REFUSALS / file).read_bytes())
    assert told in said
    assert file.partition(".")[0].partition("-")[0] in said.partition(" ")[0].lower()
    assert ASKED.host in said
    assert "{host}" not in said
    assert "{pattern}" not in said
    assert said.isascii()  # it is a header, too
    assert "\n" not in said


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"Forbidden",
        b"Unauthorized",  # anybody's, elsewhere than below /_next/
        b'{"error": "Invalid Host header"}',
        b"Our documentation explains: Blocked request. This host is not allowed.",
        b"<h1>403 Forbidden</h1><p>CSRF verification failed. Request aborted.</p>",  # of a form that has no token
        b"<title>Jupyter Server</title><h1>404 : Not Found</h1>",
        b"\xff" * 20_000,
    ],
)
def test_what_an_app_says_itself_is_not_taken_for_a_refused_host(text: bytes) -> None:
    assert advice(ASKED, text) == ""


def test_a_host_outside_of_the_domain_is_named_alone() -> None:
    said = advice(Asked("shop.localhost", "local.example.com"), b"Invalid Host header")
    assert "--allowed-hosts shop.localhost " in said


#: Refuses its host in the words of a file, in one piece or in two; `late` sends the second once somebody asks to `go`.
REFUSER = """
import http.server, os, pathlib, sys, threading
went = threading.Event()
class Refuse(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    def do_GET(self):
        how, _, file = self.path[1:].partition("/")
        if how == "_next":
            self.wfile.write(b"Unauthorized")
            self.close_connection = True
            return
        if how == "go":
            went.set()
            file = "next.txt"
        body = (pathlib.Path(sys.argv[1]) / file).read_bytes()
        self.send_response(403)
        chunked = how == "chunked"
        self.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body)))))
        self.end_headers()
        if chunked:
            self.wfile.write(b"5\\r\\n%b\\r\\n%x\\r\\n%b\\r\\n0\\r\\n\\r\\n" % (body[:5], len(body) - 5, body[5:]))
            return
        if how == "late":
            self.wfile.flush()
            went.wait(20)
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Refuse)
server.serve_forever()
"""


@pytest.fixture
def refuser(tmp_path: Path) -> Iterator[WholeSystem]:
    made = WholeSystem(tmp_path)
    made.program("refuse.py", REFUSER)
    made.service("shop", f"web: exec python3 refuse.py {REFUSALS}\n", remote=False)
    made.begin_all()
    made.ask("start", "shop")
    wait_until(lambda: made.get("shop", "/once/next.txt").route == "local", "the route is local")
    try:
        yield made
    finally:
        made.end()


def late(system: WholeSystem, file: str) -> Page:
    """The answer, whose head came through before its body was sent."""
    connection = system.connect()
    connection.request("GET", f"/late/{file}", headers={"Host": system.host("shop")})
    answer = connection.getresponse()
    system.get("shop", "/go")
    page = Page(answer.status, answer.headers, answer.read().decode())
    connection.close()
    return page


def advised(system: WholeSystem) -> str:
    return system.status()["services"][0]["advice"]


def test_the_answer_passes_unchanged_and_its_header_log_and_status_tell_what_to_set(refuser: WholeSystem) -> None:
    for how in ("once", "chunked"):
        page = refuser.get("shop", f"/{how}/webpack-dev-server.txt")
        assert (page.status, page.text, page.route) == (403, "Invalid Host header", "local")
    said = wait_until(lambda: advised(refuser), "the advice")
    assert page.headers["X-Stores-Hint"] == said
    assert said.startswith("webpack-dev-server refused the host shop.localhost: ")
    assert refuser.get("shop", "/once/webpack-dev-server.txt").headers["X-Stores-Hint"] == said
    assert refuser.ok("logs", "shop", "-n", "50").count(f"stores: {said}") == 1  # however often it was asked
    assert f"shop: {said}" in refuser.stores("status").stdout


def test_a_head_is_not_held_back_for_its_body_and_the_advice_is_forgotten_at_the_next_start(
    refuser: WholeSystem,
) -> None:
    page = late(refuser, "django-host.html")
    assert page.headers["X-Stores-Hint"] is None
    assert page.text == (REFUSALS / "django-host.html").read_text()
    assert "ALLOWED_HOSTS" in wait_until(lambda: advised(refuser), "the advice")
    refuser.ask("restart", "shop")
    assert advised(refuser) == ""


def test_a_websocket_that_is_refused_with_words_and_no_head_is_advised(refuser: WholeSystem) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Origin": "https://shop.local.example.com"}
    page = refuser.get("shop", "/_next/webpack-hmr", upgrade)
    assert (page.status, page.route) == (502, "fallback")
    assert wait_until(lambda: advised(refuser), "the advice").startswith("Next.js refused the host shop.localhost ")


class Asking:
    """An asker that keeps what it is told."""

    def __init__(self) -> None:
        self.exchange, self.framed, self.told = None, True, []

    def __getattr__(self, name: str) -> Any:
        return lambda *told: self.told.append((name, *told))


def test_an_answer_passes_also_where_reading_along_fails(caplog: pytest.LogCaptureFixture) -> None:
    """There is no view yet: whoever looks for one fails."""
    asking = Asking()
    response = Response(403, b"Forbidden", [], 19)
    request = Request(Client(("127.0.0.1", 1), ("127.0.0.1", 2)), b"GET", b"/", [], b"shop.localhost")
    overhearing = Refusals(Current(), lambda *_: None).overheard(request, response, asking)
    overhearing.on_response(response, b"Invalid Host", False)
    overhearing.on_body(b" header", True)
    assert asking.told == [("on_response", response, b"Invalid Host", False), ("on_body", b" header", True)]
    assert "A refusal cannot be read" in caplog.text


def test_only_what_runs_is_advised(supervising: Supervising) -> None:
    supervising.service("shop", "web: sleep 1000\n")
    supervising.supervise()
    supervising.ask("advise", "shop", advice="set this")
    assert supervising.status()["services"][0]["advice"] == ""
