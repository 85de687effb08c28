"""Who may call and how that is told: the keys, read or refused with file, line and mend."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from procman.api_route import ApiRoute
from procman.authorizer_settings import AuthorizerSettings
from procman.errors import StoresError
from procman.identity import Identity
from procman.workspace import Workspace, load

ALICE = """
[identity.alice]
sub = "user-1"
scopes = ["org:read", "org:write"]
claims = { email = "alice@example.com", org = "acme" }

[identity.bob]
"""


def workspace(root: Path, text: str = "", local: str = "", **services: str) -> Workspace:
    (root / "Procfile.d").mkdir(exist_ok=True)
    (root / "stores.toml").write_text(text)
    if local:
        (root / "stores.local.toml").write_text(local)
    for name, facts in services.items():
        block = "".join(f"# {line}\n" for line in facts.split("; "))
        (root / "Procfile.d" / name).write_text(f"# /// stores\n{block}# ///\nweb: x\n")
    return load(root, {})


def refused(root: Path, text: str = "", local: str = "", **services: str) -> str:
    with pytest.raises(StoresError) as caught:
        workspace(root, text, local, **services)
    assert caught.value.exit_code == 2
    return caught.value.message


def test_identities_are_read_with_what_follows_from_their_name(tmp_path: Path) -> None:
    identities = workspace(tmp_path, ALICE).settings.identities
    claims = {"email": "alice@example.com", "org": "acme"}
    assert identities["alice"] == Identity("alice", "user-1", ("org:read", "org:write"), claims)
    assert identities["bob"] == Identity("bob", "bob")
    assert Identity.from_json(json.loads(json.dumps(identities["alice"].to_json()))) == identities["alice"]


def test_without_a_word_the_authorizer_is_the_dummy_and_its_names_follow_from_the_domain(tmp_path: Path) -> None:
    settings = workspace(tmp_path).settings.authorizer
    assert settings == AuthorizerSettings()
    assert (settings.mode, settings.alg, settings.ttl, settings.unknown_token) == ("dummy", "ES256", 3600.0, "deny")
    assert settings.issuer_for("local.example.com") == "https://auth.local.example.com"
    assert settings.audience_for("local.example.com") == "https://api-gateway.local.example.com"


def test_everything_that_the_authorizer_is_told_is_read_and_travels(tmp_path: Path) -> None:
    text = """[authorizer]
    mode = "http"
    url = "http://127.0.0.1:9000/auth?x=1"
    timeout = "250ms"
    response_headers = ["X-User"]
    default = "alice"
    unknown_token = "bob"
    issuer = "https://id.example.com/"
    audience = "shop"
    alg = "RS256"
    ttl = "5m"
    preset = "kong"
    [authorizer.headers]
    "X-User-Id" = "user {sub} of {org}"
    """
    settings = workspace(tmp_path, text + ALICE).settings.authorizer
    assert (settings.mode, settings.url, settings.timeout) == ("http", "http://127.0.0.1:9000/auth?x=1", 0.25)
    assert (settings.default, settings.unknown_token, settings.alg, settings.ttl) == ("alice", "bob", "RS256", 300.0)
    assert settings.issuer_for("x") == "https://id.example.com"
    assert settings.headers == {"X-User-Id": "user {sub} of {org}"}
    assert AuthorizerSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_one_persons_file_may_name_an_identity_of_everybodys(tmp_path: Path) -> None:
    assert workspace(tmp_path, ALICE, '[authorizer]\ndefault = "alice"\n').settings.authorizer.default == "alice"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('mode = "dumy"', '"dumy" is not one of dummy, remote, mixed, http, none'),
        ('mode = "http"', "none is named"),
        ('default = "alise"', '"alise" is no identity'),
        ('unknown_token = "allow"', '"allow" is no identity'),
        ('issuer = "auth"', '"auth" is not a URL'),
        ('alg = "HS256"', '"HS256" is not one of ES256, RS256'),
        ('ttl = "1"', '"1" is not a length of time'),
        ('ttl = "31d"', "no token lives longer than 30 days"),
        ("ttl = 60", "ttl must be text in quotes"),
        ('timeout = "0s"', '"0s" is not a length of time'),
        ('preset = "aws"', '"aws" is not one of gcp-apigateway'),
        ('url = "127.0.0.1:9000"', "is not a URL"),
        ('url = "http://a:b@127.0.0.1:9000/"', "is not a URL"),
        ('remote = "api-gateway"', '"api-gateway" is not a URL'),
        ('response_headers = ["X User"]', '"X User" is not the name of a header'),
        ('headers = { "X_User" = "{sub}" }', '"X_User" is not the name of a header'),
        ('headers = { "Host" = "{sub}" }', "frames or routes"),
        ('headers = { "X-User" = "{sub" }', "X-User is not a template"),
        ('headers = { "X-User" = "a\\nb" }', "X-User is not a template"),
        ('headers = { "X-User" = 1 }', "X-User is not a template"),
        ('heders = { "X-User" = "{sub}" }', 'unknown key "authorizer.heders"'),
    ],
)
def test_a_mistake_in_the_authorizers_settings_names_its_line_and_its_mend(
    tmp_path: Path, line: str, problem: str
) -> None:
    message = refused(tmp_path, f"{ALICE}\n[authorizer]\n{line}\n")
    place, text, mend = message.splitlines()
    assert place.startswith("stores.toml:10: ")
    assert problem in place
    assert text.strip() == line
    assert mend.strip()


def test_a_remote_gateway_is_named_or_follows_from_the_remote_domain(tmp_path: Path) -> None:
    settings = workspace(tmp_path, '[authorizer]\nmode = "remote"\n').settings
    assert settings.authorizer.remote_for(settings.remote.domain) == "https://api-gateway.remote.example.com"
    message = refused(tmp_path, '[authorizer]\nmode = "mixed"\n[remote]\ndomain = ""\n')
    assert message.startswith("stores.toml:2: the mode mixed asks the remote API gateway, and there is no remote")


def test_a_mistake_of_one_persons_file_is_shown_there(tmp_path: Path) -> None:
    message = refused(tmp_path, ALICE, '[authorizer]\ndefault = "alise"\n')
    assert message.startswith('stores.local.toml:2: "alise" is no identity')
    assert 'Did you mean "alice"?' in message


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("[identity.nobody]", 9, "is a word of the authorizer's own"),
        ('[identity."a b"]', 9, '"a b" is not a name'),
        ("[identity]\ncarol = 1", 10, "identity.carol must be a table"),
        ('[identity.carol]\nsub = "a b"', 10, '"a b" is not a subject'),
        ('[identity.carol]\nsub = ""', 10, '"" is not a subject'),
        ('[identity.carol]\nscopes = ["a b"]', 10, '"a b" is not a scope'),
        ('[identity.carol]\nclaims = { iss = "x" }', 10, 'the claim "iss" is written by the issuer'),
        ("[identity.carol]\nclaims = { nonce = 1 }", 10, 'the claim "nonce" is written by the issuer'),
        ("[identity.carol]\nclaims = { born = 2000-01-01 }", 10, 'the claim "born" is a date'),
        ('[identity.carol]\nemail = "x"', 10, 'unknown key "identity.carol.email"'),
    ],
)
def test_a_mistake_in_an_identity_names_its_own_line_and_not_another_identitys(
    tmp_path: Path, text: str, line: int, problem: str
) -> None:
    message = refused(tmp_path, f"{ALICE}\n{text}\n")
    assert message.startswith(f"stores.toml:{line}: ")
    assert problem in message


def test_a_route_stands_in_the_services_file(tmp_path: Path) -> None:
    facts = 'route = "/organization/v1"; strip_prefix = true; auth = "required"; scopes = ["org:read"]'
    first, second = workspace(tmp_path, organization=facts, reserve='description = "x"').services
    assert first.api == ApiRoute("/organization/v1", True, "required", ("org:read",))
    assert second.api is None
    assert ApiRoute.from_json(json.loads(json.dumps(first.api.to_json()))) == first.api


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('route = "organization"', '"organization" is not a route'),
        ('route = "/"', '"/" is not a route'),
        ('route = ""', '"" is not a route'),
        ('route = "/a/"', '"/a/" is not a route'),
        ('route = "/a//b"', '"/a//b" is not a route'),
        ('route = "/a/../b"', '"/a/../b" is not a route'),
        ('route = "/a%2Fb"', '"/a%2Fb" is not a route'),
        ('route = "/.stores"', '"/.stores" is not a route'),
        ('route = ["/a"]', "route must be text"),
        ('strip_prefix = "yes"; route = "/a"', "strip_prefix must be true or false"),
        ('auth = "must"; route = "/a"', '"must" is not one of required, optional, none'),
        ('scopes = ["a b"]; route = "/a"', '"a b" is not a scope'),
        ('scopes = ["a"]; route = "/a"; auth = "none"', "nobody needs scopes"),
        ('scopes = ["a"]', "scopes says nothing without a route"),
        ('auth = "none"', "auth says nothing without a route"),
    ],
)
def test_a_mistake_in_a_route_names_its_line_and_its_mend(tmp_path: Path, line: str, problem: str) -> None:
    message = refused(tmp_path, organization=line)
    assert message.startswith("Procfile.d/organization:2: ")
    assert problem in message


def test_one_route_of_two_services_names_both_files(tmp_path: Path) -> None:
    message = refused(tmp_path, account='route = "/a"', organization='description = "x"; route = "/a"')
    assert message.startswith(
        'Procfile.d/organization:3: route "/a" is already claimed by Procfile.d/account\n    # route = "/a"'
    )
