"""At the API gateway: which service a path leads to, who calls, whether he may, and what the service is told."""

import base64
import json
import time
from dataclasses import replace

import pytest
from api_world import API, bearer, problem, routed, tell
from gateway_world import one_world

world = pytest.fixture(scope="module")(one_world)


def test_the_longest_prefix_of_whole_segments_wins(world):
    org, members, other = world.origin(), world.origin(), world.origin()
    tell(
        world,
        routed("organization", "/organization", port=org.port),
        routed("members", "/organization/members", port=members.port),
        routed("reserve", "/reserve", port=other.port),
        default="alice",
    )
    for path, port in (
        ("/organization", org.port),
        ("/organization/", org.port),
        ("/organization?x=1", org.port),
        ("/organization/membersonly", org.port),
        ("/organization/members", members.port),
        ("/organization//members/1", members.port),
        ("/%6Frganization/members", members.port),
        ("/reserve/organization/members", other.port),
    ):
        answer = world.get(API, path, scheme="https")
        assert (answer.status, answer.route, answer.json["port"]) == (200, "local", port), path
    assert world.get("api-gateway.localhost", "/reserve").json["port"] == other.port


def test_a_path_that_no_service_registered_is_answered_with_the_prefixes_that_there_are(world):
    tell(world, routed("organization", "/organization", port=1), routed("reserve", "/reserve/v1", port=1))
    for path in ("/", "/organizations", "/reserve", "/reserve/v12", "/.stores/page.js", "/ORGANIZATION"):
        document = problem(world.get(API, path), 404, "no-route")
        assert document["known"] == ["/organization", "/reserve/v1"]
        assert "/organization, /reserve/v1" in document["detail"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/organization%2Fmembers", "encoded-slash"),
        ("/organization%2fmembers", "encoded-slash"),
        ("/organization%5Cmembers", "encoded-slash"),
        ("/organization\\members", "encoded-slash"),
        ("/organization/../members", "dot-segment"),
        ("/organization/./members", "dot-segment"),
        ("/organization/%2e%2E/members", "dot-segment"),
        ("/organization/..;x=1/members", "dot-segment"),
        ("/organization/..", "dot-segment"),
        ("/organization/%252e%252e/members", "double-encoding"),
        ("/organization/%252Fmembers", "double-encoding"),
        ("/organization/%00", "bad-encoding"),
        ("/organization/%0d%0aX-User-Id:1", "bad-encoding"),
        ("/organization/%zz", "bad-encoding"),
        ("/organization/%", "bad-encoding"),
        ("/organization#members", "bad-encoding"),
    ],
)
def test_a_path_that_two_programs_may_read_differently_is_refused(world, path, code):
    org = world.origin()
    tell(world, routed("organization", "/organization", port=org.port), default="alice")
    answer = world.raw(f"GET {path} HTTP/1.1\r\nHost: {API}\r\nConnection: close\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["code"] == code
    assert org.seen.empty()


def test_the_service_gets_the_path_by_which_it_was_decided_and_the_query_as_it_is(world):
    org = world.origin()
    tell(world, routed("organization", "/organization", port=org.port), default="alice")
    world.get(API, "/%6frganization/a%2cb/%7Ec?x=%2F..%2f&y=%252F")
    request = org.last()
    assert request.target == "/organization/a%2Cb/~c?x=%2F..%2f&y=%252F"
    assert request.all("x-forwarded-prefix") == []


def test_bytes_of_any_encoding_in_a_path_reach_the_service_as_they_came(world):
    org = world.origin()
    tell(world, routed("organization", "/organization", port=org.port), default="alice")
    target = "/organization/caf\u00e9/%C3%A9/".encode() + b"\xff?q=\xfe"
    answer = world.raw(b"GET " + target + f" HTTP/1.1\r\nHost: {API}\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert org.last().target.encode("latin-1") == target


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/organization/v1/x/y?q=/organization", "/x/y?q=/organization"),
        ("/organization/v1", "/"),
        ("/organization/v1?q=1", "/?q=1"),
        ("//organization//v1//x", "//x"),
    ],
)
def test_a_prefix_that_is_stripped_is_told_in_a_header(world, path, seen):
    org = world.origin()
    tell(world, routed("organization", "/organization/v1", port=org.port, strip=True), default="alice")
    world.get(API, path, headers={"X-Forwarded-Prefix": "/forged"})
    request = org.last()
    assert (request.target, request["x-forwarded-prefix"]) == (seen, "/organization/v1")


def test_the_service_is_told_who_calls_by_headers_and_by_a_token(world):
    org = world.origin()
    tell(world, routed("organization", "/organization", port=org.port, scopes=["org:read"]), default="alice")
    before = time.time()
    assert world.get(API, "/organization").status == 200
    request = org.last()
    assert (request["x-user-id"], request["x-user-scopes"]) == ("user-1", "org:read org:write")
    told = bearer(request)
    assert told["iss"] == "https://auth.local.example.com"
    assert told["aud"] == "https://api-gateway.local.example.com"
    assert (told["sub"], told["scope"], told["org"]) == ("user-1", "org:read org:write", "acme")
    assert before + 3500 < told["exp"] < before + 3700
    assert request.all("x-forwarded-authorization") == []
    assert request["x-forwarded-host"] == f"{API}:{world.http}"


def token_of(world, org, name, **settings):
    """As `stores token` gives it out: what the gateway itself tells a service."""
    tell(world, routed("organization", "/organization", port=org.port), **settings)
    world.get(API, "/organization", headers={"Stores-As": name})
    return org.last()["authorization"].removeprefix("Bearer ")


def test_who_calls_is_the_first_that_applies(world):
    org = world.origin()
    bobs = token_of(world, org, "bob")
    tell(
        world,
        routed("organization", "/organization", port=org.port, auth="optional"),
        default="bob",
        unknown_token="alice",
        choice={"identity": "alice"},
    )
    cookie, token = {"Cookie": "a=b; stores_as=alice; c=d"}, {"Authorization": f"Bearer {bobs}"}
    strange = {"Authorization": "Bearer somebody-elses"}
    for headers, sub in (
        ({"Stores-As": "bob", **cookie, **strange}, "user-2"),
        ({"Cookie": "stores_as=bob", **strange}, "user-2"),
        (cookie | token, "user-1"),
        (token, "user-2"),
        (strange, "user-1"),
        ({}, "user-1"),
        ({"Authorization": "Basic YTpi"}, "user-1"),
        ({"Stores-As": "nobody"}, None),
    ):
        assert world.get(API, "/organization", headers=headers).status == 200
        request = org.last()
        assert request.all("x-user-id") == ([sub] if sub else []), headers
        assert request.all("x-forwarded-authorization") == [value for key, value in headers.items() if key[0] == "A"]
        assert request.all("stores-as") == []
    (world.folder / "gateway" / "authorizer.json").unlink()
    world.get(API, "/organization")
    assert org.last()["x-user-id"] == "user-2"


def test_who_chose_to_be_nobody_is_nobody_whatever_the_default(world):
    org = world.origin()
    tell(
        world,
        routed("organization", "/organization", port=org.port),
        default="alice",
        choice={"identity": "nobody"},
    )
    problem(world.get(API, "/organization"), 401, "unauthenticated")


def test_a_token_of_ours_goes_on_as_it_came(world):
    org = world.origin()
    token = token_of(world, org, "alice")
    world.get(API, "/organization", headers={"Authorization": f"bearer  {token}"})
    assert org.last()["authorization"] == f"Bearer {token}"


def test_a_token_of_ours_that_does_not_count_is_refused_whoever_is_chosen(world):
    org = world.origin()
    plays = {}
    for play in ("expired", "wrong-audience", "bad-signature"):
        tell(world, routed("organization", "/organization", port=org.port), default="alice")
        world.get(API, "/organization", headers={"Stores-Simulate": play})
        plays[play] = org.last()["authorization"]
    for auth in ("required", "optional"):
        tell(
            world,
            routed("organization", "/organization", port=org.port, auth=auth),
            default="alice",
            unknown_token="ignore",
        )
        for play, token in plays.items():
            answer = world.get(API, "/organization", headers={"Authorization": token})
            document = problem(answer, 401, "invalid-token")
            assert play.replace("-", " ") in document["detail"]
            assert 'error="invalid_token"' in answer["www-authenticate"]
    assert org.seen.empty()


@pytest.mark.parametrize(
    ("rule", "status", "sub"), [("deny", 401, None), ("ignore", 200, "user-2"), ("alice", 200, "user-1")]
)
def test_a_token_of_somebody_elses_is_what_the_workspace_says_it_is(world, rule, status, sub):
    org = world.origin()
    tell(world, routed("organization", "/organization", port=org.port), default="bob", unknown_token=rule)
    foreign = f"{base64.urlsafe_b64encode(b'{}').decode()}.{base64.urlsafe_b64encode(b'{}').decode()}.AAAA"
    for token in ("opaque", foreign):
        answer = world.get(API, "/organization", headers={"Authorization": f"Bearer {token}"})
        assert answer.status == status
        if sub is None:
            problem(answer, 401, "unknown-token")
        else:
            assert org.last()["x-user-id"] == sub


def test_nobody_is_asked_to_say_who_he_is(world):
    org = world.origin()
    tell(world, routed("organization", "/organization", port=org.port))
    answer = world.get(API, "/organization")
    document = problem(answer, 401, "unauthenticated")
    assert answer["www-authenticate"] == 'Bearer realm="api-gateway.local.example.com"'
    assert "alice, bob" in document["detail"]
    assert document["hint"] == "stores as NAME"
    assert org.seen.empty()


def test_a_missing_scope_is_named(world):
    org = world.origin()
    tell(world, routed("organization", "/organization", port=org.port, scopes=["org:read", "org:admin"]))
    answer = world.get(API, "/organization", headers={"Stores-As": "alice"})
    document = problem(answer, 403, "insufficient_scope")
    assert "alice does not have org:admin" in document["detail"]
    assert 'error="insufficient_scope", scope="org:read org:admin"' in answer["www-authenticate"]


def test_an_identity_that_is_not_registered_is_refused_with_the_names(world):
    org = world.origin()
    tell(world, routed("organization", "/organization", port=org.port), choice={"identity": "carol"})
    for headers in ({"Stores-As": "dave"}, {"Cookie": "stores_as=dave"}, {}):
        document = problem(world.get(API, "/organization", headers=headers), 400, "unknown-identity")
        assert document["known"] == ["alice", "bob", "nobody"]
        assert ("dave" if headers else "carol") in document["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        [("Stores-As", "alice"), ("Stores-As", "bob")],
        [("Cookie", "stores_as=alice; stores_as=bob")],
        [("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
    ],
)
def test_a_request_that_says_twice_who_calls_is_refused(world, headers):
    org = world.origin()
    tell(world, routed("organization", "/organization", port=org.port), default="alice", unknown_token="alice")
    problem(world.get(API, "/organization", headers=headers), 400, "ambiguous-caller")


def test_a_route_that_asks_nobody_passes_the_callers_own_authorization(world):
    org = world.origin()
    tell(world, routed("organization", "/organization", port=org.port, auth="none"), default="alice")
    world.get(API, "/organization", headers={"Authorization": "Bearer x", "X-User-Id": "1", "Stores-As": "dave"})
    request = org.last()
    assert (request["authorization"], request.all("x-user-id"), request.all("stores-as")) == ("Bearer x", [], [])


def test_a_preflight_passes_and_is_the_services_to_answer(world):
    org = world.origin()
    tell(world, routed("organization", "/organization", port=org.port))
    asks = {"Origin": "https://netshop.local.example.com", "Access-Control-Request-Method": "PUT"}
    assert world.get(API, "/organization", method="OPTIONS", headers=asks | {"X-User-Id": "1"}).status == 200
    assert org.last().all("x-user-id") == []
    for less in ({"Origin": asks["Origin"]}, {"Access-Control-Request-Method": "PUT"}):
        assert world.get(API, "/organization", method="OPTIONS", headers=less).status == 401


def test_a_page_of_the_workspace_may_read_why_it_was_refused_and_no_other(world):
    tell(world, routed("organization", "/organization", port=1))
    for origin in ("https://netshop.local.example.com", "http://localhost:5173"):
        answer = world.get(API, "/organization", headers={"Origin": origin})
        assert (answer["access-control-allow-origin"], answer.json["code"]) == (origin, "unauthenticated")
    for origin in ("https://evil.example", "null", "https://local.example.com.evil.example"):
        answer = world.get(API, "/organization", headers={"Origin": origin})
        assert answer.all("access-control-allow-origin") == []


def test_another_sites_page_calls_as_nobody_unless_it_has_a_token(world):
    org = world.origin()
    token = token_of(world, org, "alice")
    tell(
        world,
        routed("organization", "/organization", port=org.port),
        unknown_token="alice",
        choice={"identity": "alice"},
    )
    evil = {"Origin": "https://evil.example"}
    for headers in (
        evil,
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        evil | {"Cookie": "stores_as=alice"},
        evil | {"Stores-As": "alice"},
        evil | {"Authorization": "Bearer anything"},
    ):
        for method in ("GET", "POST"):
            answer = world.get(API, "/organization", method=method, headers=headers)
            problem(answer, 401, "unauthenticated")
    assert org.seen.empty()
    for headers in (
        {"Origin": "https://netshop.local.example.com", "Sec-Fetch-Site": "same-site"},
        {"Origin": "http://localhost:5173", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        evil | {"Authorization": f"Bearer {token}"},
    ):
        assert world.get(API, "/organization", headers=headers).status == 200, headers


def test_bodies_and_event_streams_pass_through_as_they_come(world):
    org = world.origin()
    tell(world, routed("organization", "/organization", port=org.port, strip=True), default="alice")
    with world.socket() as client:
        client.sendall(f"GET /organization/events HTTP/1.1\r\nHost: {API}\r\n\r\n".encode())
        seen = b""
        while b"data: first" not in seen:
            seen += client.recv(65536)
        assert b"data: second" not in seen
        org.release.set()
        while b"data: second" not in seen:
            seen += client.recv(65536)
    size = 8 * 1024 * 1024
    answer = world.get(API, "/organization/swallow", method="POST", body=b"x" * size)
    assert answer.body == str(size).encode()
    assert len(world.get(API, f"/organization/large?{size}").body) == size


def test_nothing_is_started_for_who_may_not(world):
    tell(world, routed("organization", "/organization", remote=None, start="on-request"), default="alice")
    problem(world.get(API, "/organization", headers={"Stores-As": "nobody"}), 401, "unauthenticated")
    assert not any(question["verb"] == "start" for question in list(world.supervisor.asked.queue))


def test_a_service_that_sleeps_is_woken_behind_the_api_gateway(world):
    org = world.origin()
    asleep = routed("organization", "/organization", remote=None, start="on-request", strip=True)
    tell(world, asleep, default="alice")

    async def wake(_):
        awake = routed("organization", "/organization", port=org.port, remote=None, start="on-request", strip=True)
        world.snapshot = replace(world.snapshot, services=(awake,))
        for writer in world.supervisor._watchers:
            writer.write(json.dumps({"snapshot": world.snapshot.to_json()}).encode() + b"\n")

    world.supervisor.on_start = wake
    try:
        answer = world.get(API, "/organization/x")
    finally:
        world.supervisor.on_start = None
    assert (answer.status, answer.route) == (200, "local")
    assert (request := org.last())["x-user-id"] == "user-1"
    assert request.target == "/x"


def test_a_stopped_service_is_answered_as_everywhere_once_the_caller_may(world):
    stopped = routed("organization", "/organization", remote=None, strip=True)
    tell(world, stopped, default="alice")
    document = problem(world.get(API, "/organization/x"), 503, "stopped")
    assert (document["service"], document["hint"]) == ("organization", "stores start organization")
    assert document["instance"].endswith("/organization/x")
    page = world.get(API, "/organization/x", headers={"Accept": "text/html"})
    assert page["content-type"].startswith("text/html")
    assert "stores start organization" in page.text
    assert "<form" not in page.text


def test_what_runs_remotely_is_answered_by_the_services_remote(world):
    tell(world, routed("organization", "/organization", strip=True), default="alice")
    answer = world.get(
        API,
        "/organization/headers",
        headers={"X-Give": '[["Location", "https://organization.remote.example.com/x"]]'},
    )
    assert (answer.status, answer.route) == (200, "remote")
    assert answer["location"] == f"http://organization.local.example.com:{world.http}/x"
    request = world.remote.last()
    assert (request["host"], request["x-user-id"], request.target) == (
        "organization.remote.example.com",
        "user-1",
        "/headers",
    )


def test_without_an_authorizer_a_route_is_only_a_route(world):
    org = world.origin()
    tell(world, routed("organization", "/organization", port=org.port, scopes=["x"]), mode="none")
    assert world.get(API, "/organization", headers={"X-User-Id": "1"}).status == 200
    assert org.last().all("x-user-id") == []


def test_an_unusual_state_of_the_choice_denies_and_says_so(world):
    org = world.origin()
    tell(world, routed("organization", "/organization", port=org.port), default="alice")
    (world.folder / "gateway" / "authorizer.json").write_text("{")
    document = problem(world.get(API, "/organization"), 500, "authorizer-fault")
    assert "authorizer.json" in document["detail"]
    assert document["reference"] in world.stderr()
    assert org.seen.empty()
