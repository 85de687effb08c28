"""The remote as a browser meets it through the gateway: trusted or refused, and speaking by the names that we use."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from gateway_world import REMOTE_DOMAIN, World, one_world, service
from raw_origin import RawOrigin
from stage import PATIENCE, free_port

from procman.state import State

world = pytest.fixture(scope="module")(one_world)


def give(*headers):
    return {"X-Give": json.dumps(headers)}


def test_a_session_of_the_remote_lives_on_under_our_names(world):
    world.tell(service("account"), service("netshop"))
    answer = world.get(
        "account.local.example.com",
        "/headers",
        scheme="https",
        headers=give(
            ["Location", f"https://netshop.{REMOTE_DOMAIN}/cart"],
            ["Set-Cookie", f"session=1; Domain={REMOTE_DOMAIN}; Secure; HttpOnly"],
            ["Strict-Transport-Security", "max-age=31536000"],
        ),
    )
    assert answer.route == "remote"
    assert answer["Location"] == f"https://netshop.local.example.com:{world.https}/cart"
    assert answer["Set-Cookie"] == "session=1; Domain=local.example.com; Secure; HttpOnly"
    assert answer.all("Strict-Transport-Security") == []


def test_a_client_on_plain_http_and_localhost_stays_there(world):
    world.tell(service("account"), service("netshop"))
    answer = world.get(
        "account.localhost",
        "/headers",
        headers=give(["Location", f"https://netshop.{REMOTE_DOMAIN}/cart"], ["Set-Cookie", "session=1; Secure"]),
    )
    assert answer["Location"] == f"http://netshop.localhost:{world.http}/cart"
    assert answer["Set-Cookie"] == "session=1"


def test_a_third_party_stays_what_it_is(world):
    world.tell(service("account"))
    answer = world.get(
        "account.localhost",
        "/headers",
        headers=give(["Location", "https://idp.example.net/authorize"], ["Set-Cookie", "a=1; Domain=example.net"]),
    )
    assert answer["Location"] == "https://idp.example.net/authorize"
    assert answer["Set-Cookie"] == "a=1; Domain=example.net"


def test_bytes_that_are_no_text_pass_unchanged(world):
    world.tell(service("account"))
    with world.socket() as client:
        client.sendall(
            b"GET /x HTTP/1.1\r\nHost: account.localhost\r\nX-Odd: \xff\xfe\xe9\r\nConnection: close\r\n\r\n"
        )
        client.recv(65536)
    assert world.remote_last_named("X-Odd")["X-Odd"] == "\xff\xfe\xe9"


def test_the_remote_is_spoken_to_by_its_own_name_and_not_told_of_this_machine(world):
    world.tell(service("account"), service("netshop"))
    world.get(
        "account.local.example.com",
        "/told",
        scheme="https",
        headers={
            "Origin": f"https://netshop.local.example.com:{world.https}",
            "Referer": f"https://netshop.local.example.com:{world.https}/cart",
            "X-Forwarded-For": "10.0.0.1",
            "Forwarded": "for=10.0.0.1",
        },
    )
    seen = world.remote_last_named("Origin")
    assert seen["Host"] == f"account.{REMOTE_DOMAIN}"
    assert seen["Origin"] == f"https://netshop.{REMOTE_DOMAIN}"
    assert seen["Referer"] == f"https://netshop.{REMOTE_DOMAIN}/cart"
    for name in ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded"):
        assert seen.all(name) == []


def test_another_sites_page_may_ask_when_the_remote_allows_it(world):
    world.tell(service("account"), service("netshop"))
    origin = f"http://netshop.localhost:{world.http}"
    headers = {"Origin": origin, **give(["Access-Control-Allow-Origin", f"https://netshop.{REMOTE_DOMAIN}"])}
    answer = world.get("account.localhost", "/headers", headers=headers)
    assert answer["Access-Control-Allow-Origin"] == origin


def test_an_answer_that_a_local_service_gives_is_not_translated(world):
    shop = world.origin()
    world.tell(service("netshop", port=shop.port))
    url = f"https://netshop.{REMOTE_DOMAIN}/"
    answer = world.get("netshop.localhost", "/headers", headers=give(["Location", url], ["Alt-Svc", "clear"]))
    assert (answer["Location"], answer["Alt-Svc"]) == (url, "clear")


def test_a_connection_to_the_remote_is_used_again(world):
    world.tell(service("account"))
    before = world.remote.connections
    with world.connection("account.localhost") as client:
        for _ in range(4):
            client.request("GET", "/", headers={"Host": "account.localhost"})
            client.getresponse().read()
    assert world.remote.connections <= before + 1  # or the one that an earlier client left


def test_one_service_is_not_sent_over_the_others_connection(world):
    """Both lead to one address; what was verified for one name says nothing about the other."""
    world.tell(service("one"), service("other"))
    before = world.remote.connections
    with world.connection("one.localhost") as client:
        for host in ("one.localhost", "other.localhost"):
            client.request("GET", "/", headers={"Host": host})
            client.getresponse().read()
    assert world.remote.connections == before + 2


def test_a_certificate_for_another_name_is_refused_before_anything_is_sent(world):
    world.tell(service("account", remote="https://account.elsewhere.example"))
    answer = world.get("account.localhost", headers={"Accept": "application/json"})
    assert (answer.status, answer.route, answer.json["code"]) == (502, "fallback", "remote-untrusted")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_remote_that_vanishes_in_the_middle_of_an_answer_is_asked_for_by_the_system(world):
    """A VPN that ends closes no connection: without these questions its client would wait for ever."""
    world.tell(service("account"))
    world.remote.release.clear()
    with world.connection("account.localhost") as client:
        client.request("GET", "/events", headers={"Host": "account.localhost"})
        assert client.getresponse().readline() == b"data: first\n"
        assert KEEPALIVE in timers(world.remote.port)
        world.remote.release.set()


KEEPALIVE = "02"


def timers(port):
    """Which timers run on connections to `port` (proc(5): retransmission, keep-alive or none)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[5].partition(":")[0] for row in rows if row[2].endswith(f":{port:04X}")}


def test_a_remote_that_breaks_off_is_502(world):
    world.tell(service("account"))
    answer = world.get("account.localhost", "/hang-up", headers={"Accept": "application/json"})
    assert (answer.status, answer.route, answer.json["code"]) == (502, "fallback", "remote-broken-answer")


@pytest.fixture
def endless(world):
    """Makes a remote that begins its answer so, and goes on for ever with the same line."""
    origins = []

    def make(begin, line):
        def serve(wire):
            wire.read_head()
            wire.send(begin)
            while True:
                wire.send(line * 1000)

        origins.append(RawOrigin(serve))
        remote = replace(world.first.remote, connect_to=(f"::127.0.0.1:{origins[-1].port}",))
        world.tell(service("account", remote="http://account.internal"), remote=remote)
        return origins[-1]

    yield make
    for origin in origins:
        origin.close()
    world.tell(remote=world.first.remote)


def test_a_head_without_an_end_does_not_fill_the_memory(world, endless):
    endless(b"HTTP/1.1 200 OK\r\n", b"X-Again: and again\r\n")
    answer = world.get("account.localhost", headers={"Accept": "application/json"})
    assert (answer.status, answer.json["code"]) == (502, "remote-broken-answer")


@pytest.mark.parametrize("begin", [b"0\r\n", b"5;"], ids=["trailers", "a chunk's line"])
def test_lines_among_chunks_without_an_end_do_not_fill_the_memory(world, endless, begin):
    line = b"X-Again: and again" + (b"\r\n" if begin == b"0\r\n" else b"")
    remote = endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + begin, line)
    with world.socket("http", "account.localhost") as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: account.localhost\r\n\r\n")
        assert remote.gone.get(timeout=PATIENCE)  # its connection was closed while it was sending


def test_a_remote_whose_name_is_unknown_is_502(world):
    world.tell(service("account", remote="https://nowhere.invalid"), remote=replace(world.first.remote, connect_to=()))
    answer = world.get("account.localhost", headers={"Accept": "application/json"})
    assert (answer.status, answer.json["code"]) == (502, "remote-unreachable")
    world.tell(remote=world.first.remote)


def test_rules_lead_only_the_hosts_that_they_name(world):
    rules = (
        f"netshop.{REMOTE_DOMAIN}:443:127.0.0.1:{world.remote.port}",
        f"*.{REMOTE_DOMAIN}::127.0.0.1:{free_port()}",
    )
    world.tell(service("account"), service("netshop"), remote=replace(world.first.remote, connect_to=rules))
    assert world.get("netshop.localhost").route == "remote"
    assert world.get("account.localhost").status == 502
    world.tell(remote=world.first.remote)


def test_a_plain_http_remote_is_reached_without_tls(world):
    plain = world.origin()
    rules = (f"::127.0.0.1:{plain.port}",)
    world.tell(
        service("account", remote="http://account.internal"), remote=replace(world.first.remote, connect_to=rules)
    )
    assert world.get("account.localhost").route == "remote"
    assert plain.last()["Host"] == "account.internal"
    world.tell(remote=world.first.remote)


def test_without_the_workspaces_ca_a_private_remote_is_not_trusted(tmp_path):
    world = World(tmp_path, [service("account")], remote_ca=False)
    try:
        answer = world.get("account.localhost", headers={"Accept": "application/json"})
        assert (answer.status, answer.json["code"]) == (502, "remote-untrusted")
        world.tell(service("account"), remote=replace(world.first.remote, ca=str(tmp_path / "remote-ca.pem")))
        assert world.get("account.localhost").route == "remote"  # and the change counts at once
    finally:
        world.close()


def test_a_stopped_service_with_a_remote_is_not_started_by_a_request(world):
    world.tell(service("account", state=State.STOPPED))
    assert world.get("account.localhost").route == "remote"
    assert not any(question["verb"] in {"start", "restart"} for question in list(world.supervisor.asked.queue))


def test_events_of_the_remote_come_one_by_one(world):
    world.tell(service("account"))
    world.remote.release.clear()
    with world.connection("account.localhost") as connection:
        connection.request("GET", "/events", headers={"Host": f"account.localhost:{world.http}"})
        answer = connection.getresponse()
        assert answer.headers["X-Stores-Route"] == "remote"
        assert answer.readline() == b"data: first\n"  # and the second is not sent yet
        world.remote.release.set()
        assert b"data: second\n" in answer.read()
