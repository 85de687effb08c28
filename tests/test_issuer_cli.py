"""`stores token` and `stores auth rotate`: the tokens that they print are the gateway's own."""

from __future__ import annotations

import base64
import json
import urllib.request
from typing import Any

import pytest
from workbench import Site

SETTINGS = """
[identity.alice]
sub = "user-1"
scopes = ["org:read", "org:write"]
claims = { email = "alice@example.com" }

[identity.bob]
"""


@pytest.fixture
def workspace(site: Site) -> Site:
    (site.root / "stores.toml").write_text(SETTINGS)
    return site


def part(token: str, number: int) -> dict[str, Any]:
    text = token.strip().split(".")[number]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def ask(site: Site, path: str, token: str = "") -> dict[str, Any]:
    """What the issuer's site says, by the name that needs no DNS."""
    port = site.status()["gateway"]["http"]
    headers = {"Host": f"auth.localhost:{port}"} | ({"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)) as answer:
        return json.load(answer)


def kids(site: Site) -> set[str]:
    return {key["kid"] for key in ask(site, "/.well-known/jwks.json")["keys"]}


def test_a_token_needs_nothing_that_runs(workspace: Site) -> None:
    claims = part(workspace.ok("token", "alice"), 1)
    assert (claims["sub"], claims["scope"], claims["email"]) == ("user-1", "org:read org:write", "alice@example.com")
    assert (claims["iss"], claims["aud"]) == ("https://auth.local.example.com", "https://api-gateway.local.example.com")
    assert claims["exp"] - claims["iat"] == 3600


def test_its_options_say_for_whom_what_and_how_long(workspace: Site) -> None:
    options = ("--audience", "https://x.example", "-s", "org:read", "--scope", "openid", "--expires-in", "90s")
    told = json.loads(workspace.ok("token", "alice", *options, "--json"))
    assert told["claims"] == part(told["access_token"], 1)
    assert (told["claims"]["aud"], told["scope"], told["expires_in"]) == ("https://x.example", "org:read openid", 90)
    over = part(workspace.ok("token", "alice", "--expires-in", "-1m"), 1)
    assert over["exp"] == over["iat"] - 60


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("alcie",), 4, ('No identity is called "alcie"', "alice")),
        (("alice", "--scope", "org:admin"), 2, ("alice has no scope org:admin", "[identity.alice]", "org:read")),
        (("bob", "--scope", "org:read"), 2, ("now there is: none",)),
        (("alice", "--expires-in", "soon"), 2, ('"soon" is not a length of time', "15m")),
        (("alice", "--expires-in", "9999h"), 2, ("lives at most 2592000 seconds",)),
    ],
)
def test_what_cannot_be_is_said_with_what_to_type(
    workspace: Site, arguments: tuple[str, ...], code: int, said: tuple[str, ...]
) -> None:
    done = workspace.stores("token", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert [text for text in said if text not in done.stderr] == []


def test_without_identities_it_says_how_to_write_one(site: Site) -> None:
    done = site.stores("token", "alice")
    assert done.returncode == 4
    assert "[identity.alice]" in done.stderr


def test_damaged_keys_are_said_and_stay_as_they_are(workspace: Site) -> None:
    workspace.ok("token", "alice")
    (file,) = workspace.folder.glob("state/stores/workspaces/*/gateway/issuer/keys.json")
    file.write_text("{}")
    for verb in (("token", "alice"), ("auth", "rotate")):
        done = workspace.stores(*verb)
        assert done.returncode == 1
        assert f"mv {file}" in done.stderr
    assert file.read_text() == "{}"


def test_a_gateway_that_runs_takes_tokens_and_new_keys_of_commands(workspace: Site) -> None:
    workspace.ok("up", "-d", "gateway")
    token = workspace.ok("token", "alice", "--scope", "openid").strip()
    assert part(token, 0)["kid"] in kids(workspace)
    assert ask(workspace, "/userinfo", token) == {"sub": "user-1", "email": "alice@example.com"}
    old = kids(workspace)
    told = json.loads(workspace.ok("auth", "rotate", "--json"))
    new = {key["kid"] for key in told["keys"]}
    assert kids(workspace) == old | new
    assert not old & new
    assert ask(workspace, "/userinfo", token)["sub"] == "user-1", "an old token goes on to count"
    assert part(workspace.ok("token", "alice"), 0)["kid"] in new
