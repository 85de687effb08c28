"""The authorizer plays trouble, tells who calls as known gateways do, asks another one, or leaves it to the remote."""

import json
import ssl
import time

import pytest
from api_world import API, bearer, problem, routed, tell
from gateway_world import one_world
from origin import Origin
from stage import free_port
from websockets.asyncio.server import serve
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from procman.state import State

REMOTE = "api-gateway.remote.example.com"


world = pytest.fixture(scope="module")(one_world)


@pytest.fixture
def org(world):
    return world.origin()


def simulate(world, play):
    return world.get(API, "/organization", headers={"Stores-As": "alice", "Stores-Simulate": play})


@pytest.mark.parametrize(
    ("play", "status", "code"),
    [
        ("unauthenticated", 401, "unauthenticated"),
        ("deny", 403, "denied"),
        ("error", 500, "authorizer-fault"),
        ("unavailable", 503, "authorizer-unavailable"),
        ("missing-scope=org:read", 403, "insufficient_scope"),
        ("delay=1ms, deny", 403, "denied"),
        ("denied", 400, "bad-simulation"),
        ("delay", 400, "bad-simulation"),
        ("delay=2h", 400, "bad-simulation"),
        ("deny=1", 400, "bad-simulation"),
        ("missing-scope", 400, "bad-simulation"),
    ],
)
def test_a_request_may_ask_for_trouble(world, org, play, status, code):
    tell(world, routed("organization", "/organization", port=org.port, scopes=["org:read"]))
    answer = simulate(world, play)
    problem(answer, status, code)
    assert org.seen.empty()
    assert answer.all("retry-after") == (["10"] if status == 503 else [])


def test_a_delay_is_waited_for_and_a_missing_scope_that_is_not_wanted_is_only_left_out(world, org):
    tell(world, routed("organization", "/organization", port=org.port))
    began = time.monotonic()
    assert simulate(world, "delay=300ms").status == 200
    assert time.monotonic() - began >= 0.3
    org.last()
    simulate(world, "missing-scope=org:read")
    request = org.last()
    assert (request["x-user-scopes"], bearer(request)["scope"]) == ("org:write", "org:write")


def test_the_service_gets_a_token_that_it_must_refuse(world, org):
    tell(world, routed("organization", "/organization", port=org.port))
    simulate(world, "expired")
    assert bearer(org.last())["exp"] < time.time()
    simulate(world, "wrong-audience")
    assert bearer(org.last())["aud"] == "https://wrong-audience.invalid"
    assert simulate(world, "").status == 200
    good = org.last()["authorization"]
    simulate(world, "bad-signature")
    bad = org.last()["authorization"]
    assert bad.rpartition(".")[0] == good.rpartition(".")[0]
    assert bad != good


def test_trouble_may_be_played_for_a_while_and_for_some_services(world, org):
    now = time.time()
    deny = {"plays": ["deny"], "since": now, "until": now + 60, "services": ["organization"]}
    services = (routed("organization", "/organization", port=org.port), routed("reserve", "/reserve", port=org.port))
    tell(world, *services, default="alice", choice={"simulations": [deny]})
    problem(world.get(API, "/organization"), 403, "denied")
    assert world.get(API, "/reserve").status == 200
    for over in ({"until": now - 1, "since": now - 61}, {"since": now + 3600, "until": now + 3660}):
        tell(world, *services, default="alice", choice={"simulations": [deny | over]})
        assert world.get(API, "/organization").status == 200, "it is over, or the clock was set back"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, {"X-User-Id": "user-1", "X-User-Scopes": "org:read org:write"}),
        (
            {"headers": {"X-Who": "{name}/{sub} of {org}", "X-None": "{nothing}"}},
            {"X-Who": "alice/user-1 of acme", "X-User-Id": None, "X-None": None},
        ),
        ({"preset": "gcp-apigateway"}, {"X-Apigateway-Api-Userinfo": "payload"}),
        (
            {"preset": "iap"},
            {
                "X-Goog-IAP-JWT-Assertion": "token",
                "X-Goog-Authenticated-User-Id": "accounts.google.com:user-1",
                "X-Goog-Authenticated-User-Email": "accounts.google.com:alice@example.com",
            },
        ),
        (
            {"preset": "cloudflare-access"},
            {"Cf-Access-Jwt-Assertion": "token", "Cf-Access-Authenticated-User-Email": "alice@example.com"},
        ),
        (
            {"preset": "kong", "headers": {"X-Org": "{org}"}},
            {
                "X-Consumer-Username": "alice",
                "X-Consumer-Custom-Id": "user-1",
                "X-Authenticated-Scope": "org:read org:write",
                "X-Userinfo": "payload",
                "X-Anonymous-Consumer": None,
                "X-Org": "acme",
            },
        ),
    ],
)
def test_callers_are_told_as_the_preset_and_the_workspace_say(world, org, settings, told):
    tell(world, routed("organization", "/organization", port=org.port), **settings)
    assert world.get(API, "/organization", headers={"Stores-As": "alice"}).status == 200
    request = org.last()
    token = request["authorization"].removeprefix("Bearer ")
    for name, value in told.items():
        wanted = {"token": token, "payload": token.split(".")[1]}.get(value, value)
        assert request.all(name) == ([] if wanted is None else [wanted]), name


def test_nobody_is_told_as_kong_tells_it(world, org):
    tell(world, routed("organization", "/organization", port=org.port, auth="optional"), preset="kong")
    headers = {"X-Anonymous-Consumer": "false", "X-Consumer-Username": "alice"}
    assert world.get(API, "/organization", headers=headers).status == 200
    request = org.last()
    assert request["x-anonymous-consumer"] == "true"
    assert request.all("x-consumer-username") == []


class Judge(Origin):
    """An external authorizer that answers what a test wants."""

    verdict = (200, [], b"")

    async def _auth(self, request, query, reader, writer):
        self.seen.put(request)
        self._send(writer, *self.verdict)
        return True


@pytest.fixture(scope="module")
def judge(world):
    judge = Judge(world.stage)
    world.stack.callback(judge.close)
    return judge


def ask_judge(world, org, judge, verdict, **settings):
    judge.verdict = verdict
    url = f"http://127.0.0.1:{judge.port}/auth?tenant=1"
    tell(
        world,
        routed("organization", "/organization", port=org.port, strip=True),
        mode="http",
        url=settings.pop("url", url),
        response_headers=("X-User-Id", "X-Role", "Authorization"),
        **settings,
    )
    return world.get(
        API,
        "/organization/x?y=1",
        method="POST",
        body=b"secret",
        headers={
            "Authorization": "Bearer theirs",
            "Cookie": "session=1",
            "X-User-Id": "forged",
            "X_Role": "forged",
            "X-Forwarded-Uri": "/forged",
            "X-Forwarded-Method": "GET",
        },
    )


def test_an_external_authorizer_is_told_what_was_asked_for_and_not_the_body(world, org, judge):
    verdict = (204, [("X-User-Id", "user-9"), ("X-Role", "a"), ("X-Role", "b"), ("X-Other", "1")], b"")
    assert ask_judge(world, org, judge, verdict).status == 200
    asked = judge.last()
    assert (asked.method, asked.target, asked["host"]) == ("GET", "/auth?tenant=1", f"127.0.0.1:{judge.port}")
    assert (asked["x-forwarded-method"], asked["x-forwarded-uri"]) == ("POST", "/organization/x?y=1")
    assert (asked["x-forwarded-proto"], asked["x-forwarded-host"]) == ("http", f"{API}:{world.http}")
    assert asked["x-forwarded-for"] == "127.0.0.1"
    assert (asked["authorization"], asked["cookie"]) == ("Bearer theirs", "session=1")
    assert asked.all("content-length") == asked.all("x-user-id") == asked.all("x_role") == []
    request = org.last()
    assert (request.body, request.target) == (b"secret", "/x?y=1")
    assert (request["x-user-id"], request.all("x-role"), request.all("x-other")) == ("user-9", ["a", "b"], [])
    assert (request["authorization"], request.all("x_role")) == ("Bearer theirs", [])


def test_two_authorizations_are_refused_before_anybody_is_asked(world, org, judge):
    url = f"http://127.0.0.1:{judge.port}/auth"
    tell(world, routed("organization", "/organization", port=org.port), mode="http", url=url)
    headers = [("Authorization", "Bearer a"), ("Authorization", "Bearer b")]
    problem(world.get(API, "/organization", headers=headers), 400, "ambiguous-caller")
    assert org.seen.empty()
    assert judge.seen.empty()


def test_an_external_authorizer_may_put_its_own_token_in_the_place_of_the_callers(world, org, judge):
    assert ask_judge(world, org, judge, (200, [("Authorization", "Bearer its-own")], b"")).status == 200
    judge.last()
    request = org.last()
    assert (request["authorization"], request["x-forwarded-authorization"]) == ("Bearer its-own", "Bearer theirs")
    assert request.all("x-user-id") == []


@pytest.mark.parametrize("status", [302, 401, 403, 500])
def test_what_an_external_authorizer_refuses_goes_to_the_client_as_it_is(world, org, judge, status):
    fields = [("Location", "https://sso.example/"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Why", "no")]
    answer = ask_judge(world, org, judge, (status, fields, b"go away"))
    judge.last()
    assert (answer.status, answer.body, answer.route) == (status, b"go away", "fallback")
    assert (answer["location"], answer.all("set-cookie"), answer["x-why"]) == (
        "https://sso.example/",
        ["a=1", "b=2"],
        "no",
    )
    assert org.seen.empty()


def test_an_external_authorizer_that_does_not_answer_denies(world, org, judge):
    silent = f"http://127.0.0.1:{judge.port}/silent"
    refusing = f"http://127.0.0.1:{free_port()}/auth"
    broken = f"http://127.0.0.1:{judge.port}/hang-up"
    here = f"http://account.local.example.com:{world.http}/auth"
    for url in (silent, refusing, broken, "http://nobody.invalid/auth", here):
        answer = ask_judge(world, org, judge, (200, [], b""), url=url, timeout=0.3)
        problem(answer, 503, "authorizer-unavailable")
        assert answer["retry-after"] == "10"
    assert org.seen.empty()


def test_a_service_of_the_workspace_may_be_the_external_authorizer(world, org, judge):
    judge.verdict = (200, [("X-User-Id", "user-9")], b"")
    tell(
        world,
        routed("organization", "/organization", port=org.port),
        routed("account", "/account", port=judge.port, auth="none"),
        mode="http",
        url="http://account.local.example.com/auth",
        response_headers=("X-User-Id",),
    )
    assert world.get(API, "/organization").status == 200
    judge.last()
    assert org.last()["x-user-id"] == "user-9"
    assert world.get(API, "/account/x").status == 200


def test_the_remote_gateway_gets_what_was_sent_as_it_was_sent(world, org):
    tell(world, routed("organization", "/organization", port=org.port, strip=True), mode="remote", default="alice")
    headers = {"Authorization": "Bearer theirs", "X-User-Id": "1", "X_User_Id": "2", "Stores-As": "bob"}
    for path in ("/organization/%6frg/%2F?x=1", "/what/nobody/registered", "/organization/a%2fb", "/"):
        answer = world.get(API, path, headers=headers, method="PUT", body=b"x")
        assert (answer.status, answer.route, answer.json["target"]) == (200, "remote", path)
        request = world.remote.last()
        assert request["host"] == REMOTE
        assert {name: request[name] for name in headers} == headers
        assert (request.method, request.body) == ("PUT", b"x")
    assert org.seen.empty()


def test_what_the_remote_gateway_says_of_itself_is_said_of_the_local_one(world, org):
    tell(world, mode="remote")
    give = [["Location", f"https://{REMOTE}/next"], ["X-Other", "1"]]
    answer = world.get(API, "/headers", headers={"X-Give": json.dumps(give)}, scheme="https")
    assert answer["location"] == f"https://{API}:{world.https}/next"


def test_mixed_serves_here_what_runs_here_and_leaves_the_rest_to_the_remote_gateway(world, org):
    tell(
        world,
        routed("organization", "/organization", port=org.port, strip=True),
        routed("reserve", "/reserve", strip=True),
        routed("crashed", "/crashed", state=State.FAILED),
        mode="mixed",
        default="alice",
    )
    assert world.get(API, "/organization/x").route == "local"
    assert org.last()["x-user-id"] == "user-1"
    for path in ("/reserve/x", "/nobodys"):
        assert world.get(API, path, headers={"Authorization": "Bearer theirs"}).route == "remote"
        request = world.remote_last_named("authorization")
        assert (request["host"], request.target, request["authorization"]) == (REMOTE, path, "Bearer theirs")
        assert request.all("x-user-id") == []
    # who has started it here wants to know what is wrong with it here
    assert world.get(API, "/crashed").route == "fallback"
    problem(world.get(API, "/organization", headers={"Stores-As": "nobody"}), 401, "unauthenticated")


def test_a_service_that_writes_nothing_remotely_does_not_by_way_of_the_remote_gateway(world):
    tell(world, routed("organization", "/organization", writes="deny"), mode="remote")
    assert world.get(API, "/organization", method="POST").status == 403
    assert world.get(API, "/organization").status == 200


async def _who(connection):
    await connection.send(connection.request.headers.get("X-User-Id", "nobody"))


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_websocket_is_checked_at_its_handshake(world, scheme):
    async def start():
        return await serve(_who, "127.0.0.1", 0)

    async def stop(server):
        server.close()
        await server.wait_closed()

    server = world.stage.do(start())
    try:
        tell(world, routed("live", "/live", port=next(iter(server.sockets)).getsockname()[1], scopes=["org:read"]))
        port, context = (world.http, None) if scheme == "ws" else (world.https, world.client_context())
        url = f"{scheme}://api-gateway.localhost:{port}/live"

        def handshake(**headers):
            plain = world.socket("http", port=port)
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            return connect(url, sock=plain, ssl=context, additional_headers=names)

        with handshake(Stores_As="alice", X_User_Id="forged") as client:
            assert client.recv() == "user-1"
        for name, status in (("nobody", 401), ("bob", 403)):
            with pytest.raises(InvalidStatus) as refused:
                handshake(Stores_As=name)
            assert refused.value.response.status_code == status
    finally:
        world.stage.do(stop(server))


def test_an_external_authorizer_with_a_certificate_that_nobody_signed_denies(world, org):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    world.remote_ca.issue_cert("127.0.0.1").configure_cert(context)
    judge = world.origin(context=context)
    tell(
        world,
        routed("organization", "/organization", port=org.port),
        mode="http",
        url=f"https://127.0.0.1:{judge.port}/auth",
    )
    problem(world.get(API, "/organization"), 503, "authorizer-unavailable")
