"""What all sample services have in common: start, stop, set-up, framing of requests."""

import os
import socket
import sys
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

sys.path.append(str(Path(__file__).parents[1] / "examples"))

from trial import NAMES, PATIENCE, Service, Visitor, event_stream


@pytest.fixture(scope="module")
def organization(tmp_path_factory):
    with Service("organization", tmp_path_factory.mktemp("organization")) as service:
        yield service.listening()


@pytest.mark.parametrize("name", NAMES)
def test_a_fresh_clone_runs_by_make_dev_alone_and_stops_within_a_second(name, tmp_path):
    with Service(name, tmp_path / "not there yet") as service:
        service.line("is set up")
        reply = Visitor(service.listening()).get("/healthz")
        assert (reply.status, reply.json) == (200, {"status": "ok"})
        assert service.line("GET /healthz")[0]
        assert service.stop() < 1
        with pytest.raises(ProcessLookupError):
            os.killpg(service.process.pid, 0)


def test_setup_may_be_repeated_and_keeps_the_data(tmp_path):
    for _ in range(2):
        with Service("organization", tmp_path, "setup") as service:
            assert service.process.wait(PATIENCE) == 0
    with Service("organization", tmp_path) as service:
        assert len(Visitor(service.listening()).get("/api/organizations").json["organizations"]) == 2


def test_an_open_event_stream_and_an_open_websocket_do_not_delay_the_stop(tmp_path):
    with Service("netshop", tmp_path / "shop") as shop, Service("reserve", tmp_path / "reserve") as reserve:
        url = f"ws://127.0.0.1:{reserve.listening().port}/live"
        with event_stream(shop.listening()) as events, connect(url) as window:
            assert next(events)[0] == "stock"
            assert shop.stop() < 1
            assert reserve.stop() < 1
            with pytest.raises(ConnectionClosed) as closed:
                window.recv(PATIENCE)
            assert closed.value.rcvd.code == 1001


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Service("register", tmp_path, PORT=str(port)) as service:
            assert service.line(f"port {port} on 127.0.0.1: Address already in use")
            assert service.process.wait(PATIENCE) != 0


def test_what_cannot_be_framed_is_refused(organization):
    head = b"POST /api/organizations HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", organization.port), PATIENCE) as peer:
        peer.sendall(head + b"0\r\n\r\n")
        answer = b"".join(iter(lambda: peer.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1


def test_a_body_may_come_in_chunks(organization):
    reply = Visitor(organization).ask(
        "POST", "/api/organizations", iter([b'{"id": "chunks", ', b'"name": "In Chunks"}'])
    )
    assert reply.status == 201
    assert Visitor(organization).get(reply.headers["Location"]).json["name"] == "In Chunks"
