"""`stores inspect`: what somebody types, and what he sees."""

from __future__ import annotations

import http.client
import json
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import HTTPCookieProcessor, build_opener

import pytest
from workbench import Site, brought_up


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.service("shop", "web: exec python3 -m http.server $PORT\n")
    with brought_up(made):
        yield made


def visit(site: Site, path: str, **headers: str) -> None:
    port = site.status()["gateway"]["http"]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Host": f"shop.localhost:{port}", **headers})
    connection.getresponse().read()
    connection.close()


def listed(site: Site) -> Any:
    return json.loads(site.ok("inspect", "--json"))


def test_requests_are_shown_as_they_come_and_one_by_one_afterwards(site: Site) -> None:
    following = site.begin("inspect", "shop", "--filter", "~u wanted", "--for", "10m")
    try:
        following.wait_for("shop: recorded until")
        visit(site, "/other")
        visit(site, "/wanted?token=abc", Authorization="Bearer s3cr3t")
        text = following.wait_for("/wanted?token=***")
        assert "404" in text
        assert "/other" not in text
        newest = listed(site)["newest"][-1]
        assert [one["path"] for one in listed(site)["newest"]] == ["/other", "/wanted?token=***"]
        shown = site.ok("inspect", "show", newest["id"])
        assert shown.startswith("GET http://shop.localhost")
        assert "Authorization: Bearer ***" in shown
        assert "404 File not found" in shown
        assert "s3cr3t" in site.ok("inspect", "show", newest["id"], "--secrets")
        assert site.ok("inspect", "show", newest["id"], "--curl").startswith("curl ")
        assert json.loads(site.ok("inspect", "show", newest["id"], "--har"))["log"]["entries"]
        assert f"(sent again: {newest['id']})" in site.ok("inspect", "replay", newest["id"])
        site.ok("inspect", "--off")
        following.wait_for("recorded no longer")
        assert following.wait() == 0
        assert listed(site)["targets"] == []
    finally:
        following.end()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="mitmproxy for newer Pythons asks for a token")
def test_a_page_that_lets_everybody_in_is_not_opened(site: Site) -> None:
    done = site.stores("inspect", "--web")
    assert done.returncode == 1
    assert "lets in every user" in done.stderr


@pytest.mark.skipif(sys.version_info < (3, 12), reason="mitmproxy for Python 3.11 asks for no token")
def test_the_recording_opens_in_mitmproxys_own_page_and_leaves_no_copy(site: Site, tmp_path: Path) -> None:
    following = site.begin("inspect", "shop")
    following.wait_for("shop: recorded until")
    following.end()
    visit(site, "/in-the-page?token=s3cr3t")
    env = {**site.env, "TMPDIR": str(tmp_path), "BROWSER": "/bin/true"}
    page = site.begin("inspect", "--web", env=env)
    try:
        told = page.wait_for("token=")
        url = re.search(r"http://127\.0\.0\.1:[0-9]+/\?token=[0-9a-f]+", told)
        assert url, told
        with build_opener(HTTPCookieProcessor()).open(url[0].replace("/?", "/flows?")) as answer:
            paths = [flow["request"]["path"] for flow in json.load(answer)]
        assert "/in-the-page?token=***" in paths
        (copy,) = tmp_path.glob("stores-inspect-*/recorded.mitm")
        assert copy.parent.stat().st_mode & 0o077 == 0
        page.signal(signal.SIGTERM)
        page.wait()
        assert list(tmp_path.iterdir()) == []
    finally:
        page.end()
        site.ok("inspect", "--off")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody"], "no service and no host nobody"),
        (["shop", "--filter", "~c abc"], "'~c abc' is not understood"),
        (["--web", "shop"], "--web shows all that was recorded"),
        (["shop", "--for", "soon"], '"soon" is not a length of time'),
        (["shop", "--for", "30h"], "a second to a day"),
        (["show", "x"], "the number of one request"),
        (["show", "4711"], "There is no request 4711"),
        (["shop", "--curl"], "for one request"),
    ],
)
def test_what_cannot_be_is_refused_in_words(site: Site, arguments: list[str], said: str) -> None:
    done = site.stores("inspect", *arguments)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
