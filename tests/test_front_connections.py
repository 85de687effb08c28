"""Connections on both sides: the pool, who is gone, who is slow, who waits too long."""

import os
import re
import signal
import socket
import ssl
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from front_client import HOST, Client, field, raw_shop, status
from gateway_world import World, one_world, service
from raw_origin import PATIENCE, RawOrigin, saying
from stage import eventually

world = pytest.fixture(scope="module")(one_world)
shop = pytest.fixture(raw_shop)

MEGABYTE = 1 << 20
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def memory(world):
    """Peak resident memory of the gateway, in bytes."""
    text = Path(f"/proc/{world.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) * 1024


def reset(client):
    """Closes as a crashing client does."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()


def test_all_clients_share_one_pool(world, shop):
    for scheme in ("http", "https", "http"):
        with Client(world, scheme) as client:
            client.ask()
            client.answer()
    assert shop.connections == 1


def test_a_free_connection_is_closed_before_the_service_would_do_it(world, shop):
    """Node's servers close after 5 seconds; whoever is on the way then meets a closed door."""
    began = time.monotonic()
    with Client(world) as client:
        client.ask()
        client.answer()
        assert shop.gone.get(timeout=PATIENCE)
    assert 3.5 < time.monotonic() - began < 5


def closing_after_one(wire):
    """Serves one request; the second it takes, and closes without a word."""
    wire.read_head()
    wire.send(OK)
    wire.read_head()


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS", b"DELETE"])
def test_a_request_on_a_stale_connection_is_sent_again_when_it_may_be(world, shop, method):
    shop.serve = closing_after_one
    with Client(world) as client:
        client.ask(b"/1")
        client.answer()
        client.ask(b"/2", method=method)
        assert status(client.answer(body=method != b"HEAD")[0]) == 200
    assert shop.connections == 2
    assert [shop.head().split(b" ")[1] for _ in range(3)] == [b"/1", b"/2", b"/2"]


@pytest.mark.parametrize("body", [b"", b"abc"])
def test_what_must_not_be_done_twice_is_not_sent_twice(world, shop, body):
    shop.serve = closing_after_one
    with Client(world) as client:
        client.ask(b"/1")
        client.answer()
        client.ask(b"/2", b"Content-Length: %d" % len(body), method=b"POST" if not body else b"PUT", body=body)
        assert status(client.answer()[0]) == 502
    assert shop.connections == 1


def test_a_request_is_not_sent_again_when_something_came_back(world, shop):
    def serve(wire):
        wire.read_head()
        wire.send(OK)
        wire.read_head()
        wire.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")

    shop.serve = serve
    with Client(world) as client:
        client.ask(b"/1")
        client.answer()
        client.ask(b"/2")
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 103 ")
        assert status(client.answer()[0]) == 502
    assert shop.connections == 1


def test_a_fresh_connection_that_breaks_is_no_reason_to_try_again(world, shop):
    shop.serve = saying(b"")
    with Client(world) as client:
        client.ask()
        assert status(client.answer()[0]) == 502
    assert shop.connections == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("leave", [reset, lambda client: client.socket.close()])
def test_a_client_that_goes_away_ends_its_request_at_once(world, shop, scheme, leave):
    lasted = []

    def serve(wire):
        wire.read_head()
        began = time.monotonic()
        wire.read_to_end()
        lasted.append(time.monotonic() - began)

    shop.serve = serve
    client = Client(world, scheme)
    client.ask()
    shop.head()
    leave(client)
    assert shop.gone.get(timeout=PATIENCE)
    assert lasted[0] < 0.5  # 0.1 s where nothing else runs


def test_a_client_that_goes_away_amid_an_answer_ends_it(world, shop):
    def serve(wire):
        wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        wire.read_to_end()

    shop.serve = serve
    client = Client(world)
    client.ask()
    client.read_until(b"a\r\n")
    reset(client)
    assert shop.gone.get(timeout=PATIENCE)


def test_a_client_that_goes_away_amid_its_body_ends_its_request(world, shop):
    got = []

    def serve(wire):
        wire.read_head()
        got.append(wire.read_to_end())

    shop.serve = serve
    with Client(world) as client:
        client.ask(b"/", b"Content-Length: 10", method=b"PUT", body=b"half")
        shop.head()
    assert shop.gone.get(timeout=PATIENCE)
    assert got == [b"half"]


def test_a_client_that_only_stops_sending_gets_its_answer(world, shop):
    """`printf 'GET …' | nc -N`: the FIN comes with the request, and the answer a little later."""
    with Client(world) as client:
        client.ask(b"/half")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.answer()[1] == b"/half"
        assert client.read_to_end() == b""


def test_an_answer_that_breaks_off_is_seen_to_be_incomplete(world, shop):
    shop.serve = saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
    with Client(world) as client:
        client.ask()
        client.read_until(b"\r\n\r\n")
        with suppress(ConnectionResetError):
            assert client.read_to_end() == b"5\r\nhel"


def test_a_chunk_that_is_none_amid_an_answer_breaks_it_off(world, shop):
    def serve(wire):
        wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        wire.read(1)
        wire.send(b"zz\r\n")
        wire.read_to_end()

    shop.serve = serve
    with Client(world) as client:
        client.ask(b"/", b"Content-Length: 1", method=b"PUT")
        client.read_until(b"a\r\n")
        client.send(b"x")
        with suppress(ConnectionResetError):
            assert client.read_to_end() == b""
    assert shop.gone.get(timeout=PATIENCE)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_sent_event_arrives_within_ten_milliseconds(world, shop, scheme):
    sent = []

    def serve(wire):
        wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            wire.read(1)
            sent.append(time.monotonic())
            wire.send(b"b\r\ndata: now\n\n\r\n")

    shop.serve = serve
    delays = []
    with Client(world, scheme) as client:
        client.ask(b"/", b"Content-Length: 1000", method=b"POST")
        client.read_until(b"\r\n\r\n")
        for _ in range(20):
            client.send(b"x")
            client.read_until(b"now\n\n\r\n")
            delays.append(time.monotonic() - sent[-1])
    assert sorted(delays)[len(delays) // 2] < 0.01


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_client_that_does_not_read_stops_the_service_and_not_the_memory(world, shop, scheme):
    size, sent = 200 * MEGABYTE, [0]

    def serve(wire):
        wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        block = b"x" * MEGABYTE
        while sent[0] < size:
            wire.send(block)
            sent[0] += MEGABYTE

    shop.serve = serve
    before = memory(world)
    with Client(world, scheme) as client:
        client.ask()
        client.read_until(b"\r\n\r\n")
        steady(lambda: sent[0])
        assert sent[0] < 50 * MEGABYTE  # the kernel's buffers, and little of ours
        left = size - len(client.rest)
        while left:
            left -= len(client.socket.recv(min(left, MEGABYTE)))
    assert memory(world) - before < 20 * MEGABYTE


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("framing", [b"Content-Length: %d" % (200 * MEGABYTE), b"Transfer-Encoding: chunked"])
def test_a_service_that_does_not_read_stops_the_client_and_not_the_memory(world, shop, framing):
    go, total, sent = threading.Event(), [0], [0]
    chunked = b"chunked" in framing

    def serve(wire):
        wire.read_head()
        go.wait(PATIENCE)
        total[0] = len(wire.rest)
        wire.rest = b""
        while total[0] < 200 * MEGABYTE:
            total[0] += len(wire.socket.recv(MEGABYTE))
        wire.send(OK)

    shop.serve = serve
    before = memory(world)
    with Client(world) as client:
        client.ask(b"/", framing, method=b"POST")

        def upload():
            for _ in range(200):
                block = b"x" * MEGABYTE
                client.send(b"100000\r\n" + block + b"\r\n" if chunked else block)
                sent[0] += MEGABYTE
            if chunked:
                client.send(b"0\r\n\r\n")

        thread = threading.Thread(target=upload)
        thread.start()
        steady(lambda: sent[0])
        assert sent[0] < 50 * MEGABYTE
        go.set()
        thread.join(PATIENCE)
        assert client.answer()[1] == b"ok"
    assert memory(world) - before < 20 * MEGABYTE


def steady(measure):
    """Waits until a number does not change any more for a while."""
    last, since = measure(), time.monotonic()
    while time.monotonic() - since < 0.3:
        if measure() != last:
            last, since = measure(), time.monotonic()
        time.sleep(0.02)


def test_a_slow_client_of_pipelined_requests_does_not_fill_the_memory(world, shop):
    """Answers are not made for somebody who does not take them."""
    big = b"x" * 100_000
    shop.serve = saying(*[b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + big] * 300)
    with Client(world) as client:
        client.send(*[b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"] * 300)
        steady(shop.heads.qsize)
        assert shop.heads.qsize() < 150
        for _ in range(300):
            assert len(client.answer()[1]) == 100_000


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_head_that_comes_byte_by_byte_is_read(world, shop, scheme):
    with Client(world, scheme) as client:
        for byte in b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n":
            client.send(bytes([byte]))
        assert client.answer()[1] == b"/slow"


def test_an_answer_that_comes_byte_by_byte_is_read(world, shop):
    def serve(wire):
        wire.read_head()
        for byte in b"HTTP/1.1 103 X\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n":
            wire.send(bytes([byte]))
        wire.read_to_end()

    shop.serve = serve
    with Client(world) as client:
        client.ask()
        client.read_until(b"\r\n\r\n")
        assert status(client.read_until(b"\r\n\r\n")) == 200
        assert client.read(11) == b"1\r\na\r\n0\r\n\r\n"


def test_a_service_that_does_not_answer_in_time_is_504(tmp_path):
    world = World(tmp_path, arguments=("--answer-timeout", "0.5"))
    origin = RawOrigin(lambda wire: (wire.read_head(), wire.read_to_end()))
    try:
        world.tell(service("shop", port=origin.port))
        with Client(world) as client:
            client.ask(b"/", b"Accept: application/json")
            head, body = client.answer()
            assert (status(head), b'"slow"' in body) == (504, True)
        assert origin.gone.get(timeout=PATIENCE)
        assert origin.heads.qsize() == 1
    finally:
        origin.close()
        world.close()


def test_what_streams_may_take_longer_than_that(tmp_path):
    world = World(tmp_path, arguments=("--answer-timeout", "0.2"))

    def serve(wire):
        wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
        threading.Event().wait(1)
        wire.send(b"b")

    origin = RawOrigin(serve)
    try:
        world.tell(service("shop", port=origin.port))
        with Client(world) as client:
            client.ask()
            assert client.answer()[1] == b"ab"
    finally:
        origin.close()
        world.close()


def test_tls_sessions_are_resumed(world, shop):
    context = world.client_context()
    session = None
    for resumed in (False, True):
        plain = socket.create_connection(("127.0.0.1", world.https), PATIENCE)
        with context.wrap_socket(plain, server_hostname="shop.localhost", session=session) as client:
            client.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            assert client.recv(1000)
            assert client.session_reused is resumed
            session = client.session
    assert isinstance(session, ssl.SSLSession)


def test_a_new_gateway_refuses_no_connection(tmp_path):
    """The supervisor holds the sockets: who comes between two gateways waits in the kernel."""
    origin = RawOrigin()
    world = World(tmp_path, [service("shop", port=origin.port)])
    stop, failures, done = threading.Event(), [], [0]

    def ask_again_and_again():
        while not stop.is_set():
            try:
                with Client(world) as client:
                    client.ask(b"/", b"Connection: close")
                    assert client.answer()[1] == b"/"
                done[0] += 1
            except (OSError, EOFError, AssertionError) as error:
                failures.append(repr(error))

    threads = [threading.Thread(target=ask_again_and_again) for _ in range(4)]
    try:
        for thread in threads:
            thread.start()
        for _ in range(2):
            before = done[0]
            eventually(lambda before=before: done[0] > before + 20)
            old = world.process
            old.send_signal(signal.SIGTERM)
            assert old.wait(PATIENCE) == 0
            world.start()
        before = done[0]
        eventually(lambda: done[0] > before + 20)
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
        world.close()
        origin.close()
    assert failures == []


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="wake-ups are read from /proc")
def test_a_gateway_without_clients_does_not_wake_up(world, shop):
    with Client(world) as client:
        client.ask()
        client.answer()
    assert shop.gone.get(timeout=PATIENCE)

    def switches():
        text = Path(f"/proc/{world.process.pid}/status").read_text()
        return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.MULTILINE)[1])

    eventually(lambda: (before := switches(), time.sleep(1.5), switches() - before <= 2)[-1])


def test_the_gateway_ends_while_clients_hold_connections(tmp_path):
    origin = RawOrigin(lambda wire: (wire.read_head(), wire.read_to_end()))
    world = World(tmp_path, [service("shop", port=origin.port)])
    try:
        idle, busy, silent = Client(world), Client(world, "https"), world.socket("http")
        busy.ask()
        origin.head()
        began = time.monotonic()
        os.kill(world.process.pid, signal.SIGTERM)
        assert world.process.wait(PATIENCE) == 0
        assert time.monotonic() - began < 5
        for client in (idle, busy):
            client.socket.close()
        silent.close()
        assert world.stderr() == ""
    finally:
        world.close()
        origin.close()


def test_field_values_are_told_apart():
    assert field(b"HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\nB: 3\r\n\r\n", b"a") == [b"1", b"2"]
