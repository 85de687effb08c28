"""Bodies and everything between head and end: streamed, whole, in constant memory, broken off in time."""

import re
import socket
import struct
import threading
from pathlib import Path

import pytest
from gateway_world import one_world, service
from stage import PATIENCE, eventually

world = pytest.fixture(scope="module")(one_world)

MEGABYTE = 1 << 20


@pytest.fixture
def shop(world):
    shop = world.origin()
    world.tell(service("netshop", port=shop.port))
    return shop


def request(target, *headers, method="GET", body=b""):
    lines = [f"{method} {target} HTTP/1.1", "Host: netshop.localhost", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def read_until(client, end):
    data = b""
    while end not in data:
        chunk = client.recv(65536)
        assert chunk, data
        data += chunk
    return data


def memory(world):
    """Peak resident memory of the gateway, in bytes."""
    status = Path(f"/proc/{world.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_event_reaches_the_client_before_the_next_one_exists(world, shop, scheme):
    shop.release.clear()
    with world.socket(scheme, "netshop.localhost") as client:
        client.sendall(request("/events"))
        assert b"second" not in read_until(client, b"first")
        shop.release.set()
        read_until(client, b"second")


def test_an_event_reaches_an_http2_client_before_the_next_one_exists(world, shop):
    shop.release.set()
    out = world.curl(
        "-N",
        "--http2",
        "--resolve",
        world.resolve("netshop.localhost"),
        f"https://netshop.localhost:{world.https}/events",
    )
    assert "first" in out
    assert "second" in out


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_large_bodies_pass_both_ways_in_constant_memory(world, shop):
    world.get("netshop.localhost", f"/large?{MEGABYTE}")
    before = memory(world)
    with world.connection("netshop.localhost") as client:
        client.request("GET", f"/large?{64 * MEGABYTE}", headers={"Host": "netshop.localhost"})
        response, total = client.getresponse(), 0
        while chunk := response.read(MEGABYTE):
            total += len(chunk)
        assert total == 64 * MEGABYTE
        client.request(
            "POST",
            "/swallow",
            body=(b"x" * MEGABYTE for _ in range(64)),
            headers={"Host": "netshop.localhost", "Content-Length": str(64 * MEGABYTE)},
        )
        assert client.getresponse().read() == str(64 * MEGABYTE).encode()
    assert memory(world) - before < 16 * MEGABYTE


def test_a_chunked_upload_keeps_its_chunks_and_trailers(world, shop):
    body = b"3\r\nabc\r\n2\r\nde\r\n0\r\nX-Checksum: 7\r\n\r\n"
    with world.socket() as client:
        client.sendall(
            request("/trailers", "Transfer-Encoding: chunked", "Trailer: X-Checksum", method="POST", body=body)
        )
        answer = read_until(client, b"0\r\nX-Sum: 42\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")
        seen = shop.last()
        assert seen.body == b"abcde"
        assert seen["trailer-field"] == "X-Checksum: 7"
        client.sendall(request("/again"))  # and the connection is as good as before
        assert b'"/again"' in read_until(client, b"}")


def test_trailers_reach_an_http2_client(world, shop):
    out = world.curl(
        *("-v", "--http2", "--resolve", world.resolve("netshop.localhost"), "--stderr", "-"),
        f"https://netshop.localhost:{world.https}/trailers",
    )
    assert "body" in out
    assert "x-sum: 42" in out


def test_early_hints_come_before_the_answer(world, shop):
    with world.socket() as client:
        client.sendall(request("/hints"))
        answer = read_until(client, b"after the hints")
    assert answer.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\nHTTP/1.1 200 ")


def test_an_http10_client_gets_neither_hints_nor_chunks(world, shop):
    raw = world.raw(b"GET /hints HTTP/1.0\r\nHost: netshop.localhost\r\n\r\n")
    assert b" 103 " not in raw
    assert raw.endswith(b"\r\n\r\nafter the hints")
    raw = world.raw(b"GET /trailers HTTP/1.0\r\nHost: netshop.localhost\r\n\r\n")
    assert b"chunked" not in raw
    assert raw.endswith(b"\r\n\r\nbody")


def test_early_hints_pass_to_an_http2_client(world, shop):
    out = world.curl(
        *("-v", "--http2", "--resolve", world.resolve("netshop.localhost"), "--stderr", "-"),
        f"https://netshop.localhost:{world.https}/hints",
    )
    assert "HTTP/2 103" in out
    assert out.index("HTTP/2 103") < out.index("HTTP/2 200")


def test_the_service_says_whether_a_body_may_come(world, shop):
    with world.socket() as client:
        client.sendall(request("/expect", "Expect: 100-continue", "Content-Length: 5", method="PUT"))
        assert read_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        client.sendall(b"12345")
        assert read_until(client, b"12345").startswith(b"HTTP/1.1 200 ")
    assert shop.last()["Expect"] == "100-continue"


def test_the_service_says_that_no_body_may_come(world, shop):
    with world.socket() as client:
        client.sendall(request("/expect?refuse", "Expect: 100-continue", "Content-Length: 5", method="PUT"))
        assert read_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 417 ")


def test_the_page_answers_before_the_body_has_come(world):
    world.tell(service("register", remote=None))
    with world.socket() as client:
        head = "PUT / HTTP/1.1\r\nHost: register.localhost\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"
        client.sendall(head.encode())
        answer = read_until(client, b"stores start register")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nConnection: close\r\n" in answer


def test_the_connection_goes_on_after_a_page(world):
    world.tell(service("register", remote=None))
    with world.connection("register.localhost") as client:
        for _ in range(3):
            client.request("GET", "/", headers={"Host": "register.localhost"})
            answer = client.getresponse()
            assert (answer.status, bool(answer.read())) == (503, True)


def test_the_page_answers_an_upload_of_any_framing(world):
    world.tell(service("register", remote=None))
    head = "POST / HTTP/1.1\r\nHost: register.localhost\r\nConnection: close\r\n"
    for body in ("Content-Length: 5\r\n\r\n12345", "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n"):
        assert world.raw((head + body).encode()).startswith(b"HTTP/1.1 503 ")
    url = f"https://register.localhost:{world.https}/"
    out = world.curl(
        "--http2", "-d", "@/bin/sh", "-w", "%{http_code}", "--resolve", world.resolve("register.localhost"), url
    )
    assert out.endswith("503")


def test_a_head_request_gets_the_length_and_no_body(world, shop):
    answer = world.get("netshop.localhost", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer["Content-Length"]) > 0
    raw = world.raw(b"HEAD / HTTP/1.1\r\nHost: nobody.localhost\r\nConnection: close\r\n\r\n")
    assert raw.startswith(b"HTTP/1.1 404 ")
    assert raw.endswith(b"\r\n\r\n")


def test_a_client_that_goes_away_ends_the_request_at_the_service(world, shop):
    client = world.socket()
    client.sendall(request("/silent"))
    shop.last()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert shop.gone.get(timeout=PATIENCE)


def test_a_service_that_hangs_up_without_an_answer_is_502(world, shop):
    answer = world.get("netshop.localhost", "/hang-up", headers={"Accept": "application/json"})
    assert (answer.status, answer.route, answer.json["code"]) == (502, "fallback", "broken-answer")


def test_an_answer_that_breaks_off_ends_the_clients_connection(world, shop):
    raw = world.raw(request("/hang-up-midway"))
    assert raw.startswith(b"HTTP/1.1 200 ")
    assert raw.endswith(b"half")


def test_a_connection_to_the_service_is_used_again(world, shop):
    with world.connection("netshop.localhost") as client:
        for _ in range(5):
            client.request("GET", "/", headers={"Host": "netshop.localhost"})
            client.getresponse().read()
    assert shop.connections == 1


def test_http2_requests_share_connections_to_the_service_one_after_the_other(world, shop):
    url = f"https://netshop.localhost:{world.https}/"
    world.curl("--http2", "--resolve", world.resolve("netshop.localhost"), *[url] * 5)
    assert shop.seen.qsize() == 5
    assert shop.connections == 1


def test_a_pipelined_request_is_answered_in_turn(world, shop):
    with world.socket() as client:
        client.sendall(request("/one") + request("/two"))
        answer = read_until(client, b'"/two"')
    assert answer.index(b'"/one"') < answer.index(b'"/two"')


def test_ten_event_streams_of_one_http2_client_run_at_once(world, shop):
    """mitmproxy allows five connections to one upstream, and the sixth would wait for ever."""
    shop.release.clear()
    events = [f"https://netshop.localhost:{world.https}/events"] * 10
    done = []
    thread = threading.Thread(
        target=lambda: done.append(
            world.curl(
                "--http2",
                "--parallel",
                "--parallel-immediate",
                "--resolve",
                world.resolve("netshop.localhost"),
                *events,
            )
        )
    )
    thread.start()
    eventually(lambda: shop.connections >= 10)
    shop.release.set()
    thread.join(PATIENCE)
    assert done[0].count("second") == 10
