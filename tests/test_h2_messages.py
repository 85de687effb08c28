"""Requests and answers of every form, over HTTP/2: what the front is asked, and what the client gets."""

import struct

import pytest
from h2_stage import GET, POST, Peer, data, get, headers, one_front, one_peer

from proxy_addons.front import h2_frame as wire
from proxy_addons.front.exchange import CHUNKED
from proxy_addons.front.h2_error import ErrorCode as E

DONE = wire.END_HEADERS


server = pytest.fixture(one_front)
peer = pytest.fixture(one_peer)


def asked(server):
    return server.requests.get(timeout=10)


def connect(path=b"/ws", *fields):
    head = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"https"), (b":path", path)]
    return headers(1, [*head, (b":authority", b"shop.test"), (b"sec-websocket-version", b"13"), *fields], DONE)


# What the front is asked


def test_a_request_is_told_in_the_words_of_http_1(server, peer):
    fields = [(b"accept", b"*/*"), (b"cookie", b"a=1"), (b"te", b"trailers"), (b"cookie", b"b=2"), (b"x", b"y")]
    peer.send(headers(1, get(b"/hello?q=%20", *fields)))
    peer.ping()
    request = asked(server)
    assert (request.method, request.target, request.host) == (b"GET", b"/hello?q=%20", b"shop.test")
    assert (request.version, request.length, request.upgrade, request.managed) == (b"HTTP/2", 0, b"", False)
    assert request.fields == [(b"host", b"shop.test"), (b"accept", b"*/*"), (b"x", b"y"), (b"cookie", b"a=1; b=2")]
    assert request.raw == (
        b"GET /hello?q=%20 HTTP/1.1\r\nhost: shop.test\r\naccept: */*\r\nx: y\r\ncookie: a=1; b=2\r\n\r\n"
    )


@pytest.mark.parametrize("name", [b"x-forwarded-for", b"forwarded", b"proxy-authorization", b"x-forwarded-host"])
def test_a_field_that_must_not_simply_pass_is_noted_each_time(server, peer, name):
    for stream_id in (1, 3):
        peer.send(headers(stream_id, [*GET, (name, b"x")]))
        peer.answer(stream_id)
        assert asked(server).managed


def test_a_body_of_unknown_length_is_sent_on_in_chunks(server, peer):
    peer.send(headers(1, POST, DONE), data(1, b"abc"), data(1, b"def", wire.END_STREAM))
    assert peer.answer(1)[2] == b"abcdef"
    request = asked(server)
    assert request.length == CHUNKED
    assert request.raw.endswith(b"\r\ntransfer-encoding: chunked\r\n\r\n")


def test_a_body_of_known_length_is_sent_on_with_it(server, peer):
    peer.send(headers(1, [*POST, (b"content-length", b"3")], DONE), data(1, b"abc", wire.END_STREAM))
    assert peer.answer(1)[2] == b"abc"
    request = asked(server)
    assert request.length == 3
    assert request.raw.endswith(b"\r\ncontent-length: 3\r\n\r\n")


def test_a_post_without_a_body_says_so(server, peer):
    peer.send(headers(1, POST))
    assert peer.answer(1)[0] == 200
    assert asked(server).raw.endswith(b"\r\ncontent-length: 0\r\n\r\n")


def test_trailers_go_both_ways(server, peer):
    peer.send(headers(1, POST, DONE), data(1, b"x"), headers(1, [(b"checksum", b"7")]))
    status, _, body, trailers = peer.answer(1)
    assert (status, body, trailers) == (200, b"x", [[(b"checksum", b"7")]])


def test_expect_is_passed_on(server, peer):
    peer.send(headers(1, [*POST, (b"expect", b"100-continue")], DONE))
    peer.ping()
    request = asked(server)
    assert request.expects
    assert b"\r\nexpect: 100-continue\r\n" in request.raw


# What the client gets


def test_fields_come_in_lower_case(peer):
    peer.send(headers(1))
    assert peer.answer(1)[1] == [(b"content-length", b"5"), (b"content-type", b"text/plain")]


def test_an_interim_answer_comes_first(peer):
    peer.send(headers(1, get(b"/interim")))
    frames = peer.until(lambda kind, flags, *_: kind == wire.DATA and flags & wire.END_STREAM)
    heads = [peer.fields(payload) for kind, _, _, payload in frames if kind == wire.HEADERS]
    assert heads[0] == [(b":status", b"103"), (b"link", b"</a.css>; rel=preload")]
    assert heads[1][0] == (b":status", b"200")
    assert not [flags for kind, flags, *_ in frames if kind == wire.HEADERS and flags & wire.END_STREAM]


def test_trailers_of_an_answer_come_behind_its_body(peer):
    peer.send(headers(1, get(b"/trailers")))
    status, fields, body, trailers = peer.answer(1)
    assert (status, fields, body, trailers) == (200, [], b"body", [[(b"grpc-status", b"0")]])


@pytest.mark.parametrize(
    ("path", "method", "status", "fields"),
    [
        (b"/head", b"HEAD", 200, [(b"content-length", b"5")]),
        (b"/status/304", b"GET", 304, [(b"content-length", b"5"), (b"etag", b'"e"')]),
        (b"/status/204", b"GET", 204, [(b"x", b"y")]),
    ],
)
def test_an_answer_without_a_body_ends_with_its_head(peer, path, method, status, fields):
    peer.send(headers(1, [(b":method", method), *get(path)[1:]]))
    frames = peer.until(lambda kind, flags, *_: kind == wire.HEADERS and flags & wire.END_STREAM)
    assert peer.fields(frames[-1][3]) == [(b":status", b"%d" % status), *fields]


def test_fields_of_the_upstreams_connection_stay_there(peer):
    peer.send(headers(1, get(b"/hop-by-hop")))
    assert peer.answer(1)[1] == [(b"content-length", b"0")]


def test_a_long_head_comes_in_several_frames(peer):
    peer.send(headers(1, get(b"/long")))
    frames = peer.until(lambda kind, flags, *_: kind in {wire.HEADERS, wire.CONTINUATION} and flags & DONE)
    assert [kind for kind, *_ in frames if kind in {wire.HEADERS, wire.CONTINUATION}] == [1, 9, 9, 9]
    fields = peer.fields(b"".join(payload for kind, _, _, payload in frames if kind in {1, 9}))
    assert fields[-1] == (b"x-long", b"v" * 60000)


def test_an_answer_that_breaks_off_is_not_taken_for_the_whole(peer):
    peer.send(headers(1, get(b"/broken")))
    frames = peer.until(lambda kind, *_: kind == wire.RST_STREAM)
    assert frames[-1][2:] == (1, struct.pack(">L", E.INTERNAL_ERROR))


def test_an_answer_that_http_2_has_no_form_for_ends_its_stream_only(peer):
    peer.send(headers(1, get(b"/unsayable")), headers(3))
    assert peer.answer(3)[0] == 200


def test_an_early_answer_ends_the_request_without_an_error(server, peer):
    peer.send(headers(1, [*POST[:2], (b":path", b"/early"), POST[3]], DONE))
    frames = peer.until(lambda kind, *_: kind == wire.RST_STREAM)
    assert frames[-1][2:] == (1, struct.pack(">L", E.NO_ERROR))
    assert [flags for kind, flags, *_ in frames if kind == wire.DATA] == [wire.END_STREAM]
    peer.send(data(1, b"x" * 10000), data(1, b"", wire.END_STREAM), headers(3))
    assert peer.answer(3)[0] == 200
    assert server.received == 0


def test_a_client_that_resets_a_stream_ends_its_exchange_at_once(server, peer):
    peer.send(headers(1, get(b"/hang")))
    asked(server)
    peer.send(wire.rst_stream(1, E.CANCEL))
    assert server.aborted.get(timeout=10)[0] == b"/hang"


def test_a_client_that_goes_ends_all_its_exchanges(server):
    with Peer(server.port) as peer:
        peer.send(headers(1, get(b"/hang")), headers(3, get(b"/stop"), DONE))
        asked(server)
        asked(server)
    assert {server.aborted.get(timeout=10)[0] for _ in range(2)} == {b"/hang", b"/stop"}


def test_a_client_that_breaks_the_rules_on_a_stream_ends_its_exchange(server, peer):
    peer.send(headers(1, get(b"/hang")), data(1, b"x"))
    assert server.aborted.get(timeout=10)[0] == b"/hang"


def test_the_first_answer_says_that_no_table_is_used(peer):
    """Who sets SETTINGS_HEADER_TABLE_SIZE to 0 expects an answer to that (RFC 7541, section 4.2)."""
    peer.send(wire.settings({1: 0}), headers(1), headers(3))
    frames = peer.until(lambda kind, _flags, stream, _payload: (kind, stream) == (wire.HEADERS, 3))
    first, second = [payload for kind, _, _, payload in frames if kind == wire.HEADERS]
    assert (first[:1], second) == (b"\x20", first[1:])


# Tunnels


def test_a_websocket_is_asked_for_as_http_1_does(server, peer):
    peer.send(connect(b"/ws?x", (b"sec-websocket-protocol", b"vite-hmr"), (b"origin", b"https://shop.test")))
    peer.ping()
    request = asked(server)
    assert (request.method, request.target, request.host) == (b"GET", b"/ws?x", b"shop.test")
    assert (request.upgrade, request.length, request.managed, request.raw) == (b"websocket", 0, True, b"")
    fields = dict(request.fields)
    assert (fields[b"Connection"], fields[b"Upgrade"]) == (b"Upgrade", b"websocket")
    assert len(fields[b"Sec-WebSocket-Key"]) == 24
    assert (fields[b"sec-websocket-version"], fields[b"sec-websocket-protocol"]) == (b"13", b"vite-hmr")


def test_a_websocket_carries_octets_both_ways_and_ends_each_way_alone(peer):
    peer.send(connect())
    frames = peer.until(lambda kind, *_: kind == wire.HEADERS)
    assert peer.fields(frames[-1][3]) == [(b":status", b"200")]
    peer.send(data(1, b"ping"))
    assert peer.until(lambda kind, *_: kind == wire.DATA)[-1] == (wire.DATA, 0, 1, b"ping")
    peer.send(data(1, b"bye", wire.END_STREAM))
    assert peer.until(lambda kind, *_: kind == wire.DATA)[-1] == (wire.DATA, wire.END_STREAM, 1, b"bye")
    assert not [frame for frame in peer.ping() if frame[0] == wire.RST_STREAM]


def test_what_a_client_says_before_the_websocket_is_open_waits(peer):
    peer.send(connect(), data(1, b"early"), data(1, b" bird"))
    frames = peer.until(lambda kind, *_: kind == wire.DATA)
    frames += peer.until(lambda kind, *_: kind == wire.DATA)
    assert b"".join(payload for kind, _, _, payload in frames if kind == wire.DATA) == b"early bird"


def test_what_a_client_says_before_the_websocket_is_open_is_bounded(peer):
    peer.send(connect(b"/hang"), *[data(1, b"x" * 16384)] * 16)
    assert not [frame for frame in peer.ping() if frame[0] == wire.WINDOW_UPDATE and frame[2] == 1]
    peer.send(data(1, b"x"))
    frames = peer.until(lambda kind, *_: kind == wire.RST_STREAM)
    assert wire.word(frames[-1][3]) == E.FLOW_CONTROL_ERROR


def test_a_server_that_does_not_know_the_key_is_no_websocket_server(server, peer):
    server.accept = lambda request: b"wrong"
    peer.send(connect())
    assert peer.answer(1)[0] == 502
    assert server.aborted.get(timeout=10)[0] == b"/ws"


def test_a_server_that_refuses_a_websocket_is_heard(peer):
    peer.send(connect(b"/forbidden"))
    assert peer.answer(1)[::2] == (403, b"no")


def test_a_server_that_answers_200_has_not_agreed_to_a_websocket(peer):
    peer.send(connect(b"/refuse"))
    assert peer.answer(1)[0] == 502


def test_connect_is_a_tunnel_to_what_it_names(server, peer):
    peer.send(headers(1, [(b":method", b"CONNECT"), (b":authority", b"shop.test:443")], DONE), data(1, b"hello"))
    assert peer.until(lambda kind, *_: kind == wire.DATA)[-1][3] == b"hello"
    request = asked(server)
    assert (request.method, request.target, request.host) == (b"CONNECT", b"shop.test:443", b"shop.test:443")


# The end of a connection


def test_a_gateway_that_stops_answers_what_was_asked(server, peer):
    peer.send(headers(1, POST, DONE))
    asked(server)
    client = server.made.get(timeout=10)
    server.call(client.close)
    first = peer.until(lambda kind, *_: kind == wire.GOAWAY)[-1][3]
    assert struct.unpack(">LL", first) == (2**31 - 1, E.NO_ERROR)
    peer.send(headers(3))  # it could not know yet
    assert peer.answer(3)[0] == 200
    peer.send(wire.frame(wire.PING, wire.ACK, 0, b"stores\0\0"), headers(5))
    assert struct.unpack(">LL", peer.until(lambda kind, *_: kind == wire.GOAWAY)[-1][3]) == (3, E.NO_ERROR)
    peer.send(data(1, b"x", wire.END_STREAM))
    frames = peer.end()
    assert [payload for kind, _, _, payload in frames if kind == wire.DATA] == [b"x"]
    assert {stream for _, _, stream, _ in frames} == {1}


def test_an_idle_connection_is_closed_in_good_manners(server, peer):
    peer.ping()
    client = server.made.get(timeout=10)
    server.call(client.close)
    peer.until(lambda kind, *_: kind == wire.PING)
    peer.send(wire.frame(wire.PING, wire.ACK, 0, b"stores\0\0"))
    assert [kind for kind, *_ in peer.end()] == [wire.GOAWAY]


def test_a_client_that_does_not_answer_is_not_waited_for(server, peer):
    peer.ping()
    server.call(server.made.get(timeout=10).close)
    assert [kind for kind, *_ in peer.end()].count(wire.GOAWAY) == 2
