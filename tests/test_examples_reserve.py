"""The reservations: the API, and the WebSocket by which windows see each other."""

import json
import socket
import sys
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

sys.path.append(str(Path(__file__).parents[1] / "examples"))

from trial import PATIENCE, Service, Visitor, free_slots


@pytest.fixture(scope="module")
def reserve(tmp_path_factory):
    with Service("reserve", tmp_path_factory.mktemp("reserve")) as service:
        yield service.listening()


def live(reserve):
    return f"ws://127.0.0.1:{reserve.port}/live"


def cookie_header(visitor):
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())}


def test_a_slot_is_booked_once(reserve):
    slot = free_slots(reserve)[0]
    program = Visitor(reserve)
    first = program.post_json("/api/bookings", {"slot": slot, "name": "Ann"})
    second = program.post_json("/api/bookings", {"slot": slot, "name": "Ben"})
    assert first.status == 201
    assert (second.status, second.headers["Content-Type"]) == (409, "application/problem+json")
    assert slot not in free_slots(reserve)
    assert program.ask("DELETE", first.headers["Location"]).status == 204
    assert slot in free_slots(reserve)


def test_a_booking_that_is_not_complete_says_what_is_missing(reserve):
    reply = Visitor(reserve).post_json("/api/bookings", {"slot": "2001-01-01T10:00"})
    assert reply.status == 422
    assert {error["pointer"] for error in reply.json["errors"]} == {"/name", "/slot"}


def test_two_windows_see_each_others_bookings(reserve):
    slot = free_slots(reserve)[1]
    ann, ben = Visitor(reserve), Visitor(reserve)
    ann.get("/")
    ben.get("/")
    with (
        connect(live(reserve), additional_headers=cookie_header(ann)) as window_of_ann,
        connect(live(reserve), additional_headers=cookie_header(ben)) as window_of_ben,
    ):
        assert window_of_ben.ping().wait(PATIENCE)  # both are attended to before anything happens
        assert window_of_ann.ping().wait(PATIENCE)
        assert ann.post("/book", slot=slot, name="Ann").status == 303
        assert json.loads(window_of_ann.recv(PATIENCE)) == {"slot": slot, "state": "mine"}
        assert json.loads(window_of_ben.recv(PATIENCE)) == {"slot": slot, "state": "taken"}
        ben.post("/cancel", slot=slot)  # not his
        assert ann.post("/cancel", slot=slot).status == 303
        assert json.loads(window_of_ben.recv(PATIENCE)) == {"slot": slot, "state": "free"}


def test_a_page_of_another_site_cannot_listen(reserve):
    with pytest.raises(InvalidStatus) as refused, connect(live(reserve), origin="https://evil.example"):
        pass
    assert refused.value.response.status_code == 403


def frame(first, payload, *, masked=True, length=None):
    size = len(payload) if length is None else length
    mask = b"\x01\x02\x03\x04"
    body = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if masked else payload
    head = bytes([first, (0x80 if masked else 0) | (size if size < 126 else 127)])
    return head + (size.to_bytes(8, "big") if size >= 126 else b"") + (mask if masked else b"") + body


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(0x88, (1000).to_bytes(2, "big")), 1000),
        (frame(0x81, b"not masked", masked=False), 1002),
        (frame(0xC1, b"with an extension's bit"), 1002),
        (frame(0x83, b"an opcode that means nothing"), 1002),
        (frame(0x80, b"the end of nothing"), 1002),
        (frame(0x01, b"begun ") + frame(0x81, b"and begun again"), 1002),
        (frame(0x09, b"a ping in pieces"), 1002),
        (frame(0x89, b"x" * 126), 1002),
        (frame(0x88, (1005).to_bytes(2, "big")), 1002),
        (frame(0x01, b"\xe2\x82") + frame(0x80, b"\xff"), 1007),
        (frame(0x82, b"", length=1 << 40), 1009),
    ],
)
@pytest.mark.parametrize("in_one_piece", [True, False])
def test_the_websocket_closes_as_the_rfc_says(reserve, sent, code, in_one_piece):
    handshake = (
        b"GET /live HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", reserve.port), PATIENCE) as peer, peer.makefile("rb") as answer:
        if in_one_piece:  # the first frame right behind the handshake must not be lost
            peer.sendall(handshake + sent)
        else:
            peer.sendall(handshake)
        head = b"".join(iter(answer.readline, b"\r\n"))
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head  # the RFC's own example
        if not in_one_piece:
            for byte in sent:
                peer.sendall(bytes([byte]))
        reply = answer.read()
    assert reply[0] == 0x88
    assert int.from_bytes(reply[2:4], "big") == code


def test_a_long_message_in_pieces_between_pings_is_taken(reserve):
    with connect(live(reserve)) as window:
        window.send(["a" * 1000, "b" * 30000, "ü"])
        assert window.ping().wait(PATIENCE)
        window.close()
        assert window.close_code == 1000
