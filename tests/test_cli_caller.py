"""`stores as` and `stores auth simulate`: what they choose counts from the next request on."""

from __future__ import annotations

import json
import stat
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from workbench import Site

from procman.paths import Paths

SETTINGS = """
[identity.alice]
sub = "user-1"
scopes = ["org:read"]

[identity.bob]
"""

#: Answers each request with the headers that it got.
MIRROR = """
import http.server, json, os

class Mirror(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Mirror).serve_forever()
"""


@pytest.fixture
def workspace(site: Site) -> Site:
    (site.root / "stores.toml").write_text(SETTINGS)
    program = site.program("mirror.py", MIRROR)
    site.service("organization", f"web: python3 {program}\n", route="/organization", dir=".")
    site.service("reserve", "web: sleep 600\n", dir=".")
    return site


def ask(site: Site) -> tuple[int, dict[str, str]]:
    port = site.status()["gateway"]["http"]
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/organization", headers={"Host": f"api-gateway.localhost:{port}"}
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def chosen(site: Site) -> Path:
    return Paths.of(site.root, site.env).authorizer


def test_who_was_chosen_calls_from_the_next_request_on(workspace: Site) -> None:
    assert workspace.ok("as").startswith("nobody: requests say themselves who calls")
    assert workspace.ok("as", "alice") == "alice (stores as): sub user-1, scopes org:read\n"
    assert stat.S_IMODE(chosen(workspace).stat().st_mode) == 0o600
    workspace.ok("up", "-d", "organization")
    assert ask(workspace)[1]["x-user-id"] == "user-1"
    workspace.ok("as", "bob")
    assert ask(workspace)[1]["x-user-id"] == "bob"
    told = json.loads(workspace.ok("as", "--json"))
    assert (told["name"], told["by"], told["identity"]["sub"]) == ("bob", "stores as", "bob")
    workspace.ok("as", "--nobody")
    status, document = ask(workspace)
    assert (status, document["code"]) == (401, "unauthenticated")

    assert workspace.ok("auth", "simulate", "deny", "--for", "60s") == "deny at all routes for 60 s\n"
    assert ask(workspace)[1]["code"] == "denied"
    workspace.ok("auth", "simulate", "--off")
    assert ask(workspace)[1]["code"] == "unauthenticated"
    workspace.ok("auth", "simulate", "unavailable", "delay=1ms", "-s", "organization")
    assert ask(workspace)[1]["code"] == "authorizer-unavailable"
    (running,) = json.loads(workspace.ok("auth", "simulate", "--json"))["simulations"]
    assert (running["plays"], running["services"]) == (["unavailable", "delay=1ms"], ["organization"])
    assert 0 < running["seconds_left"] <= 60

    (workspace.root / "stores.toml").write_text(SETTINGS + '[authorizer]\ndefault = "alice"\n')
    workspace.ok("auth", "simulate", "--off")
    assert workspace.ok("as") == "alice (default): sub user-1, scopes org:read\n"
    assert workspace.ok("as", "nobody").startswith("nobody (stores as): ")


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["as", "alise"], 4, 'No identity is called "alise". Did you mean "alice"?'),
        (["as", "alice", "--nobody"], 2, "exclude each other"),
        (["auth", "simulate", "denied"], 2, '"denied" cannot be played. There is: unauthenticated, deny'),
        (["auth", "simulate", "delay=2"], 2, '"2" is not a length of time'),
        (["auth", "simulate", "delay=2d"], 2, '"2d" is longer than 60 s\n  For example: stores auth simulate delay=2s'),
        (["auth", "simulate", "missing-scope"], 2, "For example: stores auth simulate missing-scope=org:read"),
        (["auth", "simulate", "deny", "--for", "soon"], 2, '"soon" is not a length of time'),
        (["auth", "simulate", "deny", "--for", "25h"], 2, "a day is the most"),
        (["auth", "simulate", "deny", "--off"], 2, "exclude each other"),
        (["auth", "simulate", "deny", "-s", "reserv"], 4, 'Did you mean "reserve"?'),
        (["auth", "simulate", "deny", "-s", "reserve"], 2, "reserve has no route behind the API gateway"),
    ],
)
def test_what_cannot_be_chosen_is_refused_with_what_to_type(
    workspace: Site, arguments: list[str], exit_code: int, said: str
) -> None:
    done = workspace.stores(*arguments)
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert not chosen(workspace).exists()


def test_a_damaged_choice_is_told_and_chosen_anew(workspace: Site) -> None:
    workspace.ok("as", "alice")
    chosen(workspace).write_text("{")
    done = workspace.stores("as")
    assert done.returncode == 1
    assert "stores as --nobody" in done.stderr
    workspace.ok("as", "--nobody")
    assert workspace.ok("as", "bob") == "bob (stores as): sub bob, no scopes\n"
    (workspace.root / "stores.toml").write_text("[identity.alice]\n")
    assert "who is in stores.toml no more" in workspace.ok("as")
