"""What a service learns about its client, and what it must not learn from it."""

import pytest
from gateway_world import one_world, service

world = pytest.fixture(scope="module")(one_world)


@pytest.fixture
def shop(world):
    shop = world.origin()
    world.tell(service("netshop", port=shop.port))
    return shop


def test_a_service_learns_how_its_client_came(world, shop):
    world.get("netshop.local.example.com", scheme="https")
    seen = shop.last()
    host = f"netshop.local.example.com:{world.https}"
    assert seen["Host"] == host
    assert seen["X-Forwarded-For"] == "127.0.0.1"
    assert seen["X-Forwarded-Proto"] == "https"
    assert seen["X-Forwarded-Host"] == host
    assert seen["X-Forwarded-Port"] == str(world.https)
    assert seen["Forwarded"] == f'for=127.0.0.1;host="{host}";proto=https'


def test_the_list_of_addresses_grows_and_claims_are_replaced(world, shop):
    claims = {
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Scheme": "https",
        "X-Real-IP": "203.0.113.7",
        "Forwarded": "for=203.0.113.7",
    }
    world.get("netshop.localhost", headers=claims)
    seen = shop.last()
    assert seen["X-Forwarded-For"] == "203.0.113.7, 127.0.0.1"
    assert seen["X-Forwarded-Host"] == f"netshop.localhost:{world.http}"
    assert seen["X-Forwarded-Port"] == str(world.http)
    assert seen["X-Forwarded-Proto"] == "http"
    assert seen["Forwarded"].startswith("for=203.0.113.7, for=127.0.0.1;")
    assert seen.all("X-Forwarded-Scheme") == seen.all("X-Real-IP") == []


def test_what_concerns_one_connection_only_stays_on_it(world, shop):
    hop_by_hop = {
        "Connection": "keep-alive, X-Mine",
        "X-Mine": "1",
        "Keep-Alive": "timeout=5",
        "Proxy-Connection": "keep-alive",
        "Proxy-Authorization": "Basic eDp5",
        "TE": "trailers",
        "X-Kept": "1",
    }
    world.get("netshop.localhost", headers=hop_by_hop)
    seen = shop.last()
    assert seen["X-Kept"] == "1"
    for name in hop_by_hop.keys() - {"X-Kept"}:
        assert seen.all(name) == []


def test_a_client_cannot_name_the_length_as_something_to_be_removed(world, shop):
    world.get("netshop.localhost", method="POST", headers={"Connection": "close, Content-Length"}, body=b"12345")
    assert shop.last().body == b"12345"


def test_an_upstreams_connection_headers_do_not_reach_the_client(world, shop):
    given = '[["Connection", "X-Hop"], ["X-Hop", "1"], ["Keep-Alive", "timeout=9"], ["X-End", "2"]]'
    answer = world.get("netshop.localhost", "/headers", headers={"X-Give": given})
    assert answer["X-End"] == "2"
    assert answer.all("X-Hop") == answer.all("Keep-Alive") == answer.all("Connection") == []


def test_an_upgrade_to_http2_is_not_offered_on(world, shop):
    """Java's HttpClient sends this with every first request."""
    headers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAAAAIAAAAA"}
    assert world.get("netshop.localhost", headers=headers).status == 200
    seen = shop.last()
    assert seen.all("Upgrade") == seen.all("HTTP2-Settings") == seen.all("Connection") == []


def test_no_service_can_forge_the_route(world, shop):
    given = '[["X-Stores-Route", "remote"], ["x-stores-route", "forged"]]'
    assert world.get("netshop.localhost", "/headers", headers={"X-Give": given}).route == "local"


def test_duplicate_headers_keep_their_order(world, shop):
    given = '[["Set-Cookie", "b=1"], ["Set-Cookie", "a=2"]]'
    answer = world.get("netshop.localhost", "/headers", headers=[("X-Give", given), ("X-Two", "1"), ("X-Two", "2")])
    assert answer.all("Set-Cookie") == ["b=1", "a=2"]
    assert shop.last().all("X-Two") == ["1", "2"]


def test_each_pass_is_counted(world, shop):
    world.get("netshop.localhost")
    assert shop.last()["Stores-Hops"] == "1"
    world.get("netshop.localhost", headers={"Stores-Hops": "3"})
    assert shop.last()["Stores-Hops"] == "4"
    world.get("netshop.localhost", headers=[("Stores-Hops", "nonsense"), ("Stores-Hops", "2")])
    assert shop.last()["Stores-Hops"] == "3"


def test_a_request_that_comes_round_for_ever_ends_with_508(world):
    """The service is the gateway itself: what it is sent, it sends there again."""
    world.tell(service("netshop", port=world.http))
    answer = world.get("netshop.localhost", headers={"Accept": "application/json"})
    assert (answer.status, answer.json["code"]) == (508, "loop")


def test_many_cookie_fields_of_http2_are_one_for_the_service(world, shop):
    world.curl(
        *("--http2", "--resolve", world.resolve("netshop.local.example.com")),
        *("-H", "Cookie: a=1; b=2", f"https://netshop.local.example.com:{world.https}/"),
    )
    seen = shop.last()
    assert seen["Cookie"] == "a=1; b=2"
    assert seen["Host"] == f"netshop.local.example.com:{world.https}"
    assert seen.version == "HTTP/1.1"
