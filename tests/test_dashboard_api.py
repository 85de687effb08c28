"""The dashboard's HTTP API: what it answers, to whom, and that its document says the same."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from workbench import Site


class Page:
    """Asks the dashboard of a site that runs, as a program does, or as a browser would."""

    def __init__(self, site: Site) -> None:
        status = site.status()
        self.port = int(status["gateway"]["http"])
        self.host = f"stores.localhost:{self.port}"
        self.token = next(site.folder.glob("state/stores/workspaces/*/gateway/dashboard.token")).read_text().strip()

    def ask(self, method: str, path: str, body: Any = None, **fields: str) -> tuple[int, Any, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Host": self.host} | {name.replace("_", "-"): value for name, value in fields.items()}
        data = None
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            data = json.dumps(body)
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        read = answer.read()
        connection.close()
        kind = answer.headers.get("Content-Type", "")
        return answer.status, json.loads(read) if "json" in kind else read, dict(answer.headers)

    def get(self, path: str) -> Any:
        status, told, _ = self.ask("GET", path, Authorization=f"Bearer {self.token}")
        assert status == 200, told
        return told


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.program("shop.py", "import http.server, os\nhttp.server.test(port=int(os.environ['PORT']))\n")
    made.service("shop", "web: python3 shop.py\n")
    try:
        made.ok("up", "-d")
        yield made
    finally:
        made.stores("down")
        made.end()


@pytest.fixture(scope="module")
def page(site: Site) -> Page:
    return Page(site)


def test_a_program_with_the_token_is_told_what_runs(page: Page, site: Site) -> None:
    told = page.get("/api/v1/services")
    assert told["workspace"] == str(site.root)
    assert [one["name"] for one in told["services"]] == ["shop"]


def test_the_token_is_its_users_alone(site: Site) -> None:
    file = next(site.folder.glob("state/stores/workspaces/*/gateway/dashboard.token"))
    assert file.stat().st_mode & 0o777 == 0o600


def test_without_token_or_cookie_nothing_is_told(page: Page) -> None:
    status, told, _ = page.ask("GET", "/api/v1/services")
    assert (status, told["hint"]) == (401, "Open the page by: stores open")


def test_the_page_is_served_with_a_policy_that_lets_nothing_else_in(page: Page) -> None:
    status, _, headers = page.ask("GET", "/")
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    again, body, _ = page.ask("GET", "/", If_None_Match=headers["ETag"])
    assert (again, body) == (304, b"")
