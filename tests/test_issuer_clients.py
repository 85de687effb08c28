"""Programs that know nothing of us: an OpenID client library signs in over TLS, Node verifies, curl gets a token."""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flask
import pytest
import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import OAuth
from gateway_world import World, one_world, service

from procman.authorizer_settings import AuthorizerSettings
from procman.identity import Identity

ISSUER = "https://auth.local.example.com"
ALICE = Identity("alice", "user-1", ("org:read", "org:write"), {"email": "alice@example.com", "name": "Alice"})

world = pytest.fixture(scope="module")(one_world)


@pytest.fixture(autouse=True)
def workspace(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a service of the workspace has in its environment: the local CA, and the gateway as its proxy."""
    tell(world)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(world.authority.ca_file))
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{world.http}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)


def tell(world: World, **settings: Any) -> None:
    world.tell(
        service("netshop"), identities=(ALICE, Identity("bob", "bob")), authorizer=AuthorizerSettings(**settings)
    )


def client(**more: Any) -> tuple[flask.Flask, Any]:
    """A web application that signs in with Authlib, as its documentation shows."""
    app = flask.Flask("netshop")
    app.secret_key = "of the session's cookie"
    local = OAuth(app).register(
        "local",
        client_id="netshop",
        client_secret="is not looked at",
        server_metadata_url=f"{ISSUER}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid profile org:read", "code_challenge_method": "S256", **more},
    )

    @app.get("/sign-in")
    def sign_in() -> Any:
        return local.authorize_redirect("http://localhost:5000/callback")

    @app.get("/callback")
    def callback() -> Any:
        token = local.authorize_access_token()
        return {"token": token, "userinfo": dict(local.userinfo(token=token))}

    return app, local


@contextmanager
def browser() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["Accept"] = "text/html"
        yield session


def pick(session: requests.Session, url: str, name: str) -> str:
    """Opens the page, presses the button, and returns where the browser is sent."""
    page = session.get(url, timeout=20)
    assert page.status_code == 200, page.text
    action = re.search(r'<form method="post" action="([^"]+)"', page.text)
    assert action
    headers = {"Origin": ISSUER, "Sec-Fetch-Site": "same-origin"}
    to = ISSUER + html.unescape(action[1])
    answer = session.post(to, {"identity": name}, headers=headers, allow_redirects=False, timeout=20)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def test_authlib_signs_in_and_verifies(world: World) -> None:
    app, _ = client()
    visitor = app.test_client()
    with browser() as session:
        back = pick(session, visitor.get("/sign-in").headers["Location"], "alice")
    assert back.startswith("http://localhost:5000/callback?code=")
    answer = visitor.get(back.removeprefix("http://localhost:5000"))
    assert answer.status_code == 200, answer.text
    found = answer.get_json()
    who = found["token"][
        "userinfo"
    ]  # the ID token's claims: Authlib has verified signature, issuer, audience and nonce
    assert (who["iss"], who["sub"], who["aud"], who["email"]) == (ISSUER, "user-1", "netshop", "alice@example.com")
    assert found["userinfo"]["name"] == "Alice"
    assert found["token"]["scope"] == "openid profile org:read"
    again = visitor.get(back.removeprefix("http://localhost:5000"))
    assert again.status_code == 500, "the state is used up, and so is the code"


def test_authlib_tells_a_refusal_from_a_sign_in(world: World) -> None:
    app, _ = client()
    app.testing = True
    visitor = app.test_client()
    with browser() as session:
        back = pick(session, visitor.get("/sign-in").headers["Location"], "")
    with pytest.raises(OAuthError, match="access_denied"):
        visitor.get(back.removeprefix("http://localhost:5000"))


def token(world: World, **form: str) -> dict[str, Any]:
    """A token for a client's own name, by curl, over TLS that it verifies."""
    given = {"grant_type": "client_credentials", "client_id": "alice", **form}
    parts = [part for name, value in given.items() for part in ("-d", f"{name}={value}")]
    url = f"{ISSUER}:{world.https}/token"
    return json.loads(world.curl("--resolve", world.resolve("auth.local.example.com"), *parts, url))


def test_curl_gets_a_token_and_who_it_is_of(world: World) -> None:
    told = token(world, scope="openid org:read")
    assert told["scope"] == "openid org:read"
    url = f"{ISSUER}:{world.https}/userinfo"
    bearer = f"Authorization: Bearer {told['access_token']}"
    for version in ("--http1.1", "--http2"):
        out = world.curl(version, "--resolve", world.resolve("auth.local.example.com"), "-H", bearer, url)
        assert json.loads(out) == {"sub": "user-1", "email": "alice@example.com", "name": "Alice"}


#: The lines of docs/tokens.md, with what a program has around them.
_NODE = """
const crypto = require("node:crypto");
const [token, jwks] = process.argv.slice(1);
(async () => {
  const { keys } = JSON.parse(jwks);
%s
  console.log(JSON.stringify({ good, alg, claims: JSON.parse(Buffer.from(body, "base64url")) }));
})();
"""


def node(world: World, text: str) -> dict[str, Any]:
    document = (Path(__file__).parent.parent / "docs" / "tokens.md").read_text(encoding="utf-8")
    found = re.search("```js\n(.*?)```", document, re.DOTALL)
    assert found
    lines = [line for line in found[1].splitlines() if "fetch(" not in line]
    jwks = world.get("auth.local.example.com", "/.well-known/jwks.json", scheme="https").text
    program = _NODE % "\n".join(lines)
    done = subprocess.run(["node", "-e", program, text, jwks], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(not shutil.which("node"), reason="there is no Node here")
@pytest.mark.parametrize("alg", ["ES256", "RS256"])
def test_node_verifies_a_token_with_nothing_but_the_key_set(world: World, alg: str) -> None:
    tell(world, alg=alg)
    text = token(world)["access_token"]
    told = node(world, text)
    assert (told["good"], told["alg"], told["claims"]["sub"]) == (True, alg, "user-1")
    head, _, mark = text.split(".")
    other = base64.urlsafe_b64encode(json.dumps({**told["claims"], "sub": "user-2"}).encode()).rstrip(b"=").decode()
    assert node(world, f"{head}.{other}.{mark}")["good"] is False


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Length": "65537"}, 413),
        ({"Transfer-Encoding": "chunked"}, 411),
    ],
    ids=str,
)
def test_a_body_that_is_no_form_of_a_client_is_not_waited_for(
    world: World, headers: dict[str, str], status: int
) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    answer = world.raw(f"POST /token HTTP/1.1\r\nHost: auth.localhost:{world.http}\r\n{head}\r\n".encode())
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


def test_the_site_is_reached_by_any_of_its_names_and_no_other(world: World) -> None:
    for host, scheme in (("auth.local.example.com", "https"), ("auth.localhost", "http"), ("AUTH.localhost.", "http")):
        answer = world.get(host, scheme=scheme)
        assert (answer.status, answer.route) == (200, "local")
        head = world.get(host, scheme=scheme, method="HEAD")
        assert (head.status, head.body, head["Content-Length"]) == (200, b"", answer["Content-Length"])
    assert world.get("x.auth.localhost").route == "fallback"
