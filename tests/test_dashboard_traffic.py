"""The requests that pass, as the dashboard tells of them: who called whom, by which trace; none while nobody looks."""

from __future__ import annotations

import http.client
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from dashboard_page import Page
from workbench import Site, brought_up, wait_until

#: Answers /hello itself; /order asks the shop's own front door for the stock, with the trace that it was given.
_SHOP = r"""
import http.server, os, urllib.request
PROXY = {}
class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/break":
            self.send_response(200); self.send_header("Content-Length", "10"); self.end_headers()
            self.wfile.write(b"12345"); self.close_connection = True
            return
        if self.path.startswith("/order"):
            kept = {"traceparent": self.headers["traceparent"]} if self.path == "/order" else {}
            port = self.headers["X-Gateway"]
            fields = {"Host": "stock.localhost", **kept}
            asked = urllib.request.Request(f"http://127.0.0.1:{port}/stock", headers=fields)
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked).read()
        self.send_response(500 if self.path == "/fail" else 200)
        body = repr(self.headers.get_all("traceparent")).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Shop).serve_forever()
"""
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.program("shop.py", _SHOP)
    made.service("shop", "web: python3 shop.py\n", route="/shop", auth="none")
    made.service("stock", "web: python3 shop.py\n")
    with brought_up(made):
        yield made


@pytest.fixture(scope="module")
def page(site: Site) -> Page:
    return Page(site)


def visit(page: Page, path: str, host: str = "shop", **headers: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=30)
    fields = {"Host": f"{host}.localhost:{page.port}", "X-Gateway": str(page.port)}
    try:
        connection.request(
            "GET", path, headers=fields | {name.replace("_", "-"): value for name, value in headers.items()}
        )
        return connection.getresponse().read().decode()
    except http.client.IncompleteRead as error:
        return error.partial.decode()
    finally:
        connection.close()


def until(events: Iterator[tuple[str, Any]], count: int) -> list[dict[str, Any]]:
    """The requests that are told, once there are so many."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        found += next(events)[1]["requests"]
    return sorted(found, key=lambda one: one["id"])


def test_nothing_is_noted_while_nobody_looks_and_no_header_is_added(page: Page) -> None:
    assert visit(page, "/hello") == "None"
    told = page.get("/api/v1/traffic")
    assert told["recording"] is False
    assert told["requests"] == []


def test_who_looks_is_told_of_each_request(page: Page) -> None:
    with page.stream("topics=traffic") as events:
        next(events)
        sent = visit(page, "/hello?secret=1", User_Agent="Mozilla/5.0")
        (one,) = until(events, 1)
        assert (one["method"], one["path"], one["service"], one["route"]) == ("GET", "/hello?…", "shop", "local")
        assert (one["status"], one["caller"], one["how"]) == (200, "browser", "agent")
        assert 0 < one["first_byte"] <= one["duration"] < 10
        assert sent == f"['00-{one['trace']}-{one['span']}-01']"
        assert page.get("/api/v1/traffic?service=shop&status=2&q=HEL")["requests"] == [one]
    wait_until(lambda: visit(page, "/hello") == "None", "nothing stands in the way of a request any more")


def test_a_trace_that_a_service_hands_on_leads_from_request_to_request(page: Page) -> None:
    with page.stream("topics=traffic") as events:
        next(events)
        visit(page, "/order", traceparent=f"00-{TRACE}-b7ad6b7169203331-01", User_Agent="Mozilla/5.0")
        first, second = until(events, 2)
        assert (first["service"], first["caller"], first["trace"]) == ("shop", "browser", TRACE)
        assert (second["service"], second["caller"], second["how"]) == ("stock", "shop", "trace")
        assert second["parent"] == first["id"]
        told = page.get(f"/api/v1/traffic/traces/{TRACE}")
        assert [one["id"] for one in told["requests"]] == [first["id"], second["id"]]


def test_a_service_that_hands_no_trace_on_is_known_by_its_process(page: Page) -> None:
    with page.stream("topics=traffic") as events:
        next(events)
        visit(page, "/order/plain")
        first, second = until(events, 2)
        assert (first["caller"], first["how"]) == ("unknown", "")
        assert (second["service"], second["caller"], second["how"]) == ("stock", "shop", "process")


def test_a_page_of_a_service_in_a_browser_is_its_caller(page: Page) -> None:
    with page.stream("topics=traffic") as events:
        next(events)
        visit(page, "/hello", host="stock", User_Agent="Mozilla/5.0", Origin=f"http://shop.localhost:{page.port}")
        (one,) = until(events, 1)
        assert (one["caller"], one["how"], one["service"]) == ("shop", "page", "stock")


def test_errors_and_what_breaks_off_are_counted_on_the_edge(page: Page) -> None:
    with page.stream("topics=traffic") as events:
        next(events)
        for path in ("/fail", "/break", "/hello"):
            visit(page, path, User_Agent="Mozilla/5.0")
        failed, broken, _ = until(events, 3)
        assert (failed["status"], failed["error"]) == (500, "")
        assert broken["error"] == "the answer broke off"
        told = page.get("/api/v1/traffic/map")
        edge = next(one for one in told["edges"] if (one["caller"], one["service"]) == ("browser", "shop"))
        assert edge["errors"] >= 2
        assert 0 < edge["p50"] <= edge["p95"]


def test_a_call_of_the_api_gateway_is_one_of_the_service_behind_it(page: Page) -> None:
    with page.stream("topics=traffic") as events:
        next(events)
        visit(page, "/shop/hello", host="api-gateway", User_Agent="Mozilla/5.0")
        visit(page, "/nothing", host="api-gateway", User_Agent="Mozilla/5.0")
        served, missed = until(events, 2)
        assert (served["service"], served["route"], served["status"]) == ("shop", "local", 200)
        assert (missed["service"], missed["route"], missed["status"]) == ("api-gateway", "fallback", 404)


def test_requests_in_a_tunnel_are_noted_instead_of_the_tunnel(page: Page) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", page.port, timeout=30, context=context)
    connection.set_tunnel("shop.local.example.com", 443)
    with closing(connection), page.stream("topics=traffic") as events:
        next(events)
        for path in ("/hello?a", "/fail"):
            connection.request("GET", path)
            assert connection.getresponse().read().startswith(b"['00-")
        first, second = until(events, 2)
        assert (first["method"], first["path"], first["scheme"], first["route"]) == (
            "GET",
            "/hello?…",
            "https",
            "local",
        )
        assert (first["service"], first["status"], first["host"]) == ("shop", 200, "shop.local.example.com")
        assert (second["status"], second["error"]) == (500, "")
        assert first["duration"] > 0


def test_what_the_gateway_answers_itself_is_noted_too(page: Page) -> None:
    with page.stream("topics=traffic") as events:
        next(events)
        visit(page, "/", host="nobody", User_Agent="Mozilla/5.0")
        (one,) = until(events, 1)
        assert (one["service"], one["route"], one["status"]) == ("", "fallback", 404)


def test_more_than_anybody_reads_is_counted_and_the_memory_is_bounded(page: Page) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=30)
    with page.stream("topics=traffic") as events:
        next(events)
        for _ in range(2300):
            connection.request("HEAD", "/", headers={"Host": "nobody.invalid", "User-Agent": "Mozilla/5.0"})
            connection.getresponse().read()
        connection.close()
        told = 0
        while told < 2300:
            batch = next(events)[1]
            assert len(batch["requests"]) <= 100
            told += len(batch["requests"]) + batch["skipped"]
    assert len(page.get("/api/v1/traffic?limit=2000")["requests"]) == 2000


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl speaks HTTP/2, and is not here")
def test_requests_over_http2_are_noted_too(page: Page) -> None:
    host = "shop.local.example.com"
    curl = [
        "curl",
        "-sk",
        "--http2",
        "--resolve",
        f"{host}:{page.https}:127.0.0.1",
        "--noproxy",
        "*",
        "-w",
        "%{http_version}",
    ]
    with page.stream("topics=traffic") as events:
        next(events)
        done = subprocess.run([*curl, f"https://{host}:{page.https}/hello"], capture_output=True, text=True, check=True)
        (one,) = until(events, 1)
        assert done.stdout == f"['00-{one['trace']}-{one['span']}-01']2"
        assert (one["scheme"], one["service"], one["route"], one["status"]) == ("https", "shop", "local", 200)
