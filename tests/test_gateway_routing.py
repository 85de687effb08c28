"""Where a request goes: to the local service, to the remote, or to the page."""

import pytest
from gateway_world import one_world, service
from stage import free_port

from procman.state import State

world = pytest.fixture(scope="module")(one_world)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["netshop.local.example.com", "netshop.localhost", "NETSHOP.Local.Example.COM"])
def test_a_running_service_answers_and_the_answer_says_so(world, scheme, host):
    shop = world.origin()
    world.tell(service("netshop", port=shop.port))
    answer = world.get(host, "/cart?x=1", scheme=scheme)
    assert (answer.status, answer.route, answer.json["target"]) == (200, "local", "/cart?x=1")


def test_a_name_with_a_final_dot_is_the_same_name(world):
    shop = world.origin()
    world.tell(service("netshop", port=shop.port))
    assert world.get("netshop.local.example.com.").route == "local"


def test_a_service_that_bound_only_ipv6_is_found(world):
    shop = world.origin(host="::1")
    world.tell(service("netshop", port=shop.port))
    answer = world.get("netshop.local.example.com")
    assert (answer.status, answer.route) == (200, "local")


def test_the_nearest_wildcard_owns_a_host_at_any_depth(world):
    shop, tokyo = world.origin(), world.origin()
    world.tell(
        service("netshop", port=shop.port),
        service("tokyo", port=tokyo.port, hosts=("tokyo.netshop", "*.tokyo.netshop")),
    )
    assert world.get("a.b.netshop.local.example.com").json["port"] == shop.port
    assert world.get("a.b.tokyo.netshop.local.example.com", scheme="http").json["port"] == tokyo.port


def test_what_does_not_run_here_is_answered_by_the_remote(world):
    world.tell(service("netshop"))
    answer = world.get("netshop.local.example.com", "/cart?x=1", scheme="https")
    assert (answer.status, answer.route, answer.json["target"]) == (200, "remote", "/cart?x=1")
    assert world.remote.last()["Host"] == "netshop.remote.example.com"


def test_the_part_that_a_wildcard_stands_for_goes_to_the_remote_too(world):
    world.tell(service("netshop"))
    assert world.get("tokyo.netshop.local.example.com").route == "remote"
    assert world.remote.last()["Host"] == "tokyo.netshop.remote.example.com"


def test_what_runs_nowhere_is_answered_by_the_page(world):
    world.tell(service("register", remote=None))
    answer = world.get("register.local.example.com", scheme="https")
    assert (answer.status, answer.route) == (503, "fallback")
    assert "stores start register" in answer.text


def test_a_service_that_crashed_is_not_quietly_replaced_by_its_remote(world):
    world.tell(service("netshop", state=State.FAILED))
    answer = world.get("netshop.local.example.com")
    assert (answer.status, answer.route) == (502, "fallback")


def test_a_change_counts_for_the_next_request_on_the_same_connection(world):
    shop = world.origin()
    world.tell(service("netshop", port=shop.port))
    with world.connection("netshop.local.example.com") as client:
        routes = []
        for state in ({"port": shop.port}, {"state": State.STARTING}, {}, {"port": shop.port}):
            world.tell(service("netshop", **state))
            client.request("GET", "/", headers={"Host": "netshop.local.example.com"})
            answer = client.getresponse()
            answer.read()
            routes.append(answer.headers["X-Stores-Route"])
    assert routes == ["local", "fallback", "remote", "local"]


def test_a_service_that_was_refused_once_is_reached_when_it_is_up(world):
    port = free_port()
    world.tell(service("netshop", port=port))
    with world.connection("netshop.local.example.com") as client:
        statuses = []
        for attempt in range(3):
            if attempt == 2:
                world.origin(port=port)
            client.request("GET", "/", headers={"Host": "netshop.local.example.com"})
            answer = client.getresponse()
            answer.read()
            statuses.append(answer.status)
    assert statuses == [502, 502, 200]


@pytest.mark.parametrize("host", ["nettshop.local.example.com", "local.example.com", "nothing.localhost", "127.0.0.1"])
def test_an_unknown_host_of_ours_is_404(world, host):
    world.tell(service("netshop"))
    answer = world.get(host, headers={"Accept": "application/json"})
    assert (answer.status, answer.route, answer.json["code"]) == (404, "fallback", "unknown-host")


def test_the_page_about_an_unknown_host_names_the_nearest(world):
    world.tell(service("netshop"), service("reserve"))
    answer = world.get("nettshop.local.example.com", headers={"Accept": "application/json"})
    assert answer.json["nearest"] == [f"http://netshop.local.example.com:{world.http}"]


@pytest.mark.parametrize("host", ["example.org", "local.example.com.evil.org", "evillocal.example.com", "192.0.2.1"])
def test_a_strangers_host_is_misdirected(world, host):
    answer = world.get(host, headers={"Accept": "application/json"})
    assert (answer.status, answer.route, answer.json["code"]) == (421, "fallback", "not-ours")


@pytest.mark.parametrize(
    "head",
    ["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a.localhost:x\r\n\r\n"],
)
def test_a_request_without_a_proper_host_is_400(world, head):
    answer = world.raw(head.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"X-Stores-Route: fallback\r\n" in answer


def test_two_hosts_are_400_even_when_one_of_them_is_ours(world):
    shop = world.origin()
    world.tell(service("netshop", port=shop.port))
    head = "GET / HTTP/1.1\r\nHost: netshop.localhost\r\nHost: evil.localhost\r\nConnection: close\r\n\r\n"
    assert world.raw(head.encode()).startswith(b"HTTP/1.1 400 ")
    assert shop.seen.empty()


def test_what_is_no_http_is_400_in_our_voice(world):
    answer = world.raw(b"NONSENSE\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"X-Stores-Route: fallback\r\n" in answer
    assert b"mitmproxy" not in answer


def test_the_scheme_is_the_connections_whatever_a_header_claims(world):
    shop = world.origin()
    world.tell(service("netshop", port=shop.port))
    world.get("netshop.localhost", headers={"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "on"})
    seen = shop.last()
    assert seen["X-Forwarded-Proto"] == "http"
    assert seen.all("X-Forwarded-Ssl") == []


def test_an_unknown_remote_address_and_a_dead_one_are_502_and_not_sent_anywhere_else(world):
    world.tell(
        service("netshop"),
        remote=world.snapshot.remote.__class__("remote.example.com", (f"::127.0.0.1:{free_port()}",), ""),
    )
    answer = world.get("netshop.localhost", headers={"Accept": "application/json"})
    assert (answer.status, answer.route, answer.json["code"]) == (502, "fallback", "remote-refused")
    world.tell(remote=world.first.remote)
