"""No client becomes somebody by saying so: every way to forge a header fails, over HTTP/1.1 and HTTP/2."""

import pytest
from api_world import API, problem, routed, tell
from gateway_world import one_world
from h2_stage import Peer, data, headers

from proxy_addons.front import h2_frame as wire

world = pytest.fixture(scope="module")(one_world)

#: Everything that the table's attacks try to have a service believe.
FORGED = "forged-by-the-client"

#: Fields as they stand on the wire. None of them may reach the service, or take away what the authorizer says.
ATTACKS = {
    "as it is": ["X-User-Id: {f}"],
    "lower case": ["x-user-id: {f}"],
    "upper case": ["X-USER-ID: {f}"],
    "twice": ["X-User-Id: {f}", "X-User-Id: {f}2"],
    "twice, in two cases": ["X-User-Id: {f}", "x-uSER-iD: {f}2"],
    "with underscores": ["X_User_Id: {f}"],
    "with one underscore": ["X-User_Id: {f}"],
    "with dots": ["X.User.Id: {f}"],
    "with other signs": ["X~User!Id: {f}"],
    "space around the value": ["X-User-Id:   {f}   "],
    "a tab before the value": ["X-User-Id:\t{f}"],
    "behind Connection": ["Connection: X-User-Id, Authorization, X-User-Scopes"],
    "behind Connection, with a copy": ["Connection: close, x-user-id", "X-User-Id: {f}"],
    "behind Connection, kept alive": ["Connection: keep-alive, X_User_Id, X-User-Id", "X_User_Id: {f}"],
    "behind Proxy-Connection": ["Proxy-Connection: X-User-Id", "X-User-Id: {f}"],
    "scopes": ["X-User-Scopes: {f} org:admin"],
    "a preset's that is not chosen": ["X-Apigateway-Api-Userinfo: {f}", "x_goog_iap_jwt_assertion: {f}"],
    "another preset's": ["Cf-Access-Jwt-Assertion: {f}", "X-Consumer-Username: {f}", "X-Anonymous-Consumer: {f}"],
    "the kept original": ["X-Forwarded-Authorization: {f}", "X_Forwarded_Authorization: {f}"],
    "the stripped prefix": ["X-Forwarded-Prefix: {f}", "X_FORWARDED_PREFIX: {f}"],
    "what is for the authorizer": ["Stores_As: {f}", "stores_simulate: {f}"],
}
#: What no server may be given at all: the front refuses it.
MALFORMED = {
    "space before the colon": ["X-User-Id : {f}"],
    "a tab before the colon": ["X-User-Id\t: {f}"],
    "a folded line": ["X-Harmless: a", " X-User-Id: {f}"],
    "a leading space": [" X-User-Id: {f}"],
    "a bare CR": ["X-Harmless: a\rX-User-Id: {f}"],
    "a bare LF": ["X-Harmless: a\nX-User-Id: {f}"],
    "a NUL": ["X-User-Id\0: {f}"],
    "no name": [": {f}"],
}


@pytest.fixture(scope="module")
def org(world):
    org = world.origin()
    tell(world, routed("organization", "/organization", port=org.port), default="alice")
    return org


def lines(attack):
    return [line.format(f=FORGED) for line in attack]


def is_told_the_truth(request):
    assert FORGED not in repr(request.headers)
    assert (request["x-user-id"], request["x-user-scopes"]) == ("user-1", "org:read org:write")
    assert request["authorization"].startswith("Bearer ey")


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_forged_header_does_not_reach_the_service_over_http1(world, org, attack):
    head = "\r\n".join(["GET /organization HTTP/1.1", f"Host: {API}", *lines(attack), "Connection: close", "", ""])
    assert world.raw(head.encode()).startswith(b"HTTP/1.1 200 ")
    is_told_the_truth(org.last())


@pytest.mark.parametrize("attack", MALFORMED.values(), ids=MALFORMED)
def test_a_header_that_is_none_is_refused_over_http1(world, org, attack):
    head = "\r\n".join(["GET /organization HTTP/1.1", f"Host: {API}", *lines(attack), "Connection: close", "", ""])
    answer = world.raw(head.encode())
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 ")) or not answer
    assert org.seen.empty()


def ask_h2(world, *fields, trailers=()):
    """One request over HTTP/2; its status, or None where the stream or the connection was refused."""
    line = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/organization"), (b":authority", API.encode())]
    with Peer(world.https, world.client_context(("h2",))) as peer:
        peer.send(headers(1, [*line, *fields], wire.END_HEADERS))
        peer.send(data(1, b"body", 0 if trailers else wire.END_STREAM))
        if trailers:
            peer.send(headers(1, list(trailers)))
        while (frame := peer.frame()) is not None:
            kind, _, _, payload = frame
            if kind == wire.HEADERS:
                return dict(peer.fields(payload))[b":status"]
            if kind in {wire.RST_STREAM, wire.GOAWAY}:
                return None
        return None


def fields_of(attack):
    pairs = [line.partition(":") for line in lines(attack)]
    return [(name.lower().encode(), value.strip().encode()) for name, _, value in pairs]


H2_ATTACKS = {name: attack for name, attack in ATTACKS.items() if "onnection" not in name}


@pytest.mark.parametrize("attack", H2_ATTACKS.values(), ids=H2_ATTACKS)
def test_a_forged_header_does_not_reach_the_service_over_http2(world, org, attack):
    assert ask_h2(world, *fields_of(attack)) == b"200"
    is_told_the_truth(org.last())


@pytest.mark.parametrize(
    "field",
    [
        (b"X-User-Id", b"forged"),
        (b"x-user-id ", b"forged"),
        (b" x-user-id", b"forged"),
        (b"x-user-id\0", b"forged"),
        (b"x-harmless", b"a\r\nx-user-id: forged"),
        (b"connection", b"x-user-id"),
        (b"proxy-connection", b"x-user-id"),
        (b"x-user-id:", b"forged"),
    ],
)
def test_a_field_that_http2_forbids_is_refused(world, org, field):
    assert ask_h2(world, field) in {None, b"400"}
    assert org.seen.empty()


TRAILERS = {
    "as it is": "X-User-Id",
    "with underscores": "X_User_Id",
    "a preset's": "X-Goog-Iap-Jwt-Assertion",
    "the original": "X-Forwarded-Authorization",
    "the token": "Authorization",
}


@pytest.mark.parametrize("name", TRAILERS.values(), ids=TRAILERS)
def test_a_trailer_does_not_reach_the_service_as_a_header_of_the_authorizers(world, org, name):
    head = f"POST /organization HTTP/1.1\r\nHost: {API}\r\nTransfer-Encoding: chunked\r\nTrailer: {name}, X-Sum\r\n"
    body = f"Connection: close\r\n\r\n4\r\nbody\r\n0\r\n{name}: {FORGED}\r\nX-Sum: 7\r\n\r\n"
    assert world.raw((head + body).encode()).startswith(b"HTTP/1.1 200 ")
    request = org.last()
    is_told_the_truth(request)
    assert request.all("trailer-field") == ["X-Sum: 7"]
    fields = [(name.lower().encode(), FORGED.encode()), (b"x-sum", b"7")]
    assert ask_h2(world, trailers=fields) == b"200"
    request = org.last()
    is_told_the_truth(request)
    assert request.all("trailer-field") == ["x-sum: 7"]


def test_another_method_or_url_in_a_header_changes_nothing_of_what_is_decided(world):
    org, secret = world.origin(), world.origin()
    tell(
        world,
        routed("organization", "/organization", port=org.port, auth="none"),
        routed("secret", "/secret", port=secret.port),
    )
    told = {"X-HTTP-Method-Override": "DELETE", "X-Original-URL": "/secret", "X-Rewrite-URL": "/secret"}
    assert world.get(API, "/organization", headers=told).status == 200
    assert (org.last().target, secret.seen.empty()) == ("/organization", True)


def test_an_absolute_url_is_decided_by_its_own_path(world):
    org = world.origin()
    tell(world, routed("organization", "/organization", port=org.port))
    request = f"GET http://{API}:{world.http}/organization HTTP/1.1\r\nHost: {API}\r\nConnection: close\r\n\r\n"
    assert world.raw(request.encode()).startswith(b"HTTP/1.1 401 ")
    assert org.seen.empty()


def test_an_authorizer_that_raises_denies_the_request(world):
    org = world.origin()
    tell(world, routed("organization", "/organization", port=org.port), default="alice")
    keys = world.folder / "gateway" / "issuer" / "keys.json"
    world.get(API, "/organization")
    org.last()
    sound = keys.read_bytes()
    try:
        keys.write_bytes(b"{}")
        document = problem(world.get(API, "/organization"), 500, "authorizer-fault")
    finally:
        keys.write_bytes(sound)
    assert document["reference"] in world.stderr()
    assert org.seen.empty()
    assert world.get(API, "/organization").status == 200
