"""Windows and waiting, both ways: who is slow makes only itself wait, and fills only so much memory (RFC 9113, 5.2)."""

import pytest
from h2_stage import POST, Peer, answering, data, get, headers, one_front, one_peer

from proxy_addons.front import h2_frame as wire
from proxy_addons.front.h2_limits import Limits

DONE = wire.END_HEADERS
WINDOW = 256 * 1024


server = pytest.fixture(one_front)
peer = pytest.fixture(one_peer)


def sizes(frames, stream_id=1):
    return [len(payload) for kind, _, stream, payload in frames if (kind, stream) == (wire.DATA, stream_id)]


def credits_(frames, stream_id):
    return sum(wire.word(payload) for kind, _, on, payload in frames if (kind, on) == (wire.WINDOW_UPDATE, stream_id))


def test_an_answer_stops_at_the_streams_window_and_goes_on_with_it(peer):
    peer.send(wire.window_update(0, 10**6), headers(1, get(b"/bytes/100000")))
    frames = peer.until(lambda kind, _flags, _stream, payload: kind == wire.DATA and len(payload) < 16384)
    assert sum(sizes(frames)) == 65535
    assert not sizes(peer.ping())
    peer.send(wire.window_update(1, 1))
    assert sizes(peer.until(lambda kind, *_: kind == wire.DATA)) == [1]
    peer.send(wire.window_update(1, 10**5))
    frames = peer.until(lambda kind, flags, *_: kind == wire.DATA and flags & wire.END_STREAM)
    assert sum(sizes(frames)) == 100_000 - 65536


def test_an_answer_stops_at_the_connections_window(peer):
    peer.send(wire.settings({4: 10**6}), headers(1, get(b"/bytes/100000")))
    frames = peer.until(lambda kind, _flags, _stream, payload: kind == wire.DATA and len(payload) < 16384)
    assert sum(sizes(frames)) == 65535
    peer.send(wire.window_update(0, 10**6))
    assert sum(sizes(peer.until(lambda kind, flags, *_: kind == wire.DATA and flags & 1))) == 100_000 - 65535


def test_a_window_may_become_negative(peer):
    peer.send(headers(1, get(b"/bytes/100000")))
    peer.until(lambda kind, _flags, _stream, payload: kind == wire.DATA and len(payload) < 16384)
    peer.send(wire.settings({4: 10}), wire.window_update(0, 10**6), wire.window_update(1, 65525))
    assert not sizes(peer.ping())
    peer.send(wire.window_update(1, 7))
    assert sum(sizes(peer.ping())) == 7


def test_an_empty_end_needs_no_window(peer):
    peer.send(wire.settings({4: 0}), headers(1, POST, DONE), data(1, b"", wire.END_STREAM))
    assert peer.answer(1)[::2] == (200, b"")


def test_a_stream_whose_client_does_not_read_holds_its_service_and_nobody_else(server, peer):
    peer.send(wire.settings({4: 2**20}), wire.window_update(0, 2**24), headers(1, get(b"/bytes/50000000")))
    taken = 0
    while taken < 2**20:  # its window
        kind, _, stream_id, payload = peer.frame()
        taken += len(payload) if (kind, stream_id) == (wire.DATA, 1) else 0
    server.until(lambda: server.pauses == 1)
    poured = server.call(lambda: server.poured)
    assert poured < 2**20 + 400_000
    for stream_id in range(3, 43, 2):
        peer.send(headers(stream_id, get(b"/bytes/100000")))
        assert len(peer.answer(stream_id)[2]) == 100_000
    assert server.poured == poured + 20 * 100_000


def test_a_client_that_does_not_read_its_socket_holds_all_its_services(server):
    with Peer(server.port) as peer:
        peer.send(wire.settings({4: 2**30}), wire.window_update(0, 2**30))
        for stream_id in range(1, 21, 2):
            peer.send(headers(stream_id, get(b"/bytes/20000000")))
        server.until(lambda: server.pauses == 10)
        assert server.poured < 40_000_000  # the kernel's buffers, and 128 KB for each stream
        total = 0
        while total < 200_000_000:
            kind, _, _, payload = peer.frame()
            total += len(payload) if kind == wire.DATA else 0


def test_streams_take_turns(server):
    with Peer(server.port) as peer:
        peer.send(wire.settings({4: 2**30}), wire.window_update(0, 2**30))
        peer.send(headers(1, get(b"/bytes/100000000")))
        server.until(lambda: server.pauses == 1)
        peer.send(headers(3, get(b"/bytes/1000000")))
        before = 0
        while (frame := peer.frame())[:3] != (wire.DATA, wire.END_STREAM, 3):
            before += len(frame[3]) if frame[2] == 1 else 0
        assert before < 20_000_000  # what was in the kernel's buffers, and as much as the other one had


def test_none_of_many_streams_is_forgotten(server):
    with Peer(server.port) as peer:
        peer.send(wire.settings({4: 0}), wire.window_update(0, 2**30))
        streams = range(1, 81, 2)
        for stream_id in streams:
            peer.send(headers(stream_id, get(b"/bytes/3000000")))
        server.until(lambda: server.pauses >= len(streams))
        peer.send(wire.settings({4: 2**30}))  # they may all begin at once: none has a start
        got = dict.fromkeys(streams, 0)
        while (frame := peer.frame())[:2] != (wire.DATA, wire.END_STREAM):
            if frame[0] == wire.DATA:
                got[frame[2]] += len(frame[3])
        assert min(got.values()) > 1_000_000


def test_larger_frames_are_used_when_the_client_takes_them(peer):
    peer.send(wire.settings({4: 2**20, 5: 2**20}), wire.window_update(0, 2**24), headers(1, get(b"/bytes/200000")))
    frames = peer.until(lambda kind, flags, *_: kind == wire.DATA and flags & wire.END_STREAM)
    assert max(sizes(frames)) == 65536


def test_credit_for_what_a_service_takes_comes_back(peer):
    peer.send(headers(1, POST, DONE))
    frames = []
    for _ in range(64):
        peer.send(*[data(1, b"x" * 16384)] * 4)
        frames += peer.ping()
    assert 64 * 65536 - WINDOW <= credits_(frames, 1) <= 64 * 65536
    assert credits_(frames, 0) >= 2**21
    peer.send(data(1, b"", wire.END_STREAM), wire.window_update(0, 2**24), wire.window_update(1, 2**24))
    assert len(peer.answer(1)[2]) == 64 * 65536


def test_a_service_that_does_not_read_holds_its_client_and_nobody_else(server, peer):
    stop = [*POST[:2], (b":path", b"/stop"), POST[3]]
    peer.send(headers(1, stop, DONE))
    peer.ping()
    peer.send(*[data(1, b"x" * 16384)] * 16)  # its whole window
    frames = peer.ping()
    assert credits_(frames, 1) == 0
    peer.send(headers(3, POST, DONE), *[data(3, b"x" * 16384)] * 16)
    peer.send(data(3, b"", wire.END_STREAM), wire.window_update(0, 2**24), wire.window_update(3, 2**24))
    assert len(peer.answer(3)[2]) == WINDOW
    asker = server.call(lambda: next(iter(next(iter(server.clients._connections))._connection.streams.values())))
    server.call(asker.resume_body)
    assert credits_(peer.ping(), 1) == WINDOW


def test_what_waits_in_all_is_bounded():
    limits = Limits(stream_window=10**6, connection_window=10**6, waiting=10**6)
    with answering(limits=limits) as server, Peer(server.port) as peer:
        sent, granted = 0, 10**6
        for stream_id in range(1, 101, 2):
            peer.send(headers(stream_id, [*POST[:2], (b":path", b"/stop"), POST[3]], DONE))
            frames = peer.ping()
            granted += credits_(frames, 0) if stream_id > 1 else 0
            room = min(granted - sent, 160_000)
            peer.send(*[data(stream_id, b"x" * 16000)] * (room // 16000))
            sent += room // 16000 * 16000
            if room < 16000:
                break
        assert room < 16000
        assert sent <= 3 * 10**6
        # a slow stream that goes away lets the others go on
        peer.send(wire.rst_stream(1, 8), wire.rst_stream(3, 8), wire.rst_stream(5, 8))
        peer.send(*[wire.rst_stream(other, 8) for other in range(7, stream_id, 2)])
        assert credits_(peer.ping(), 0) >= 500_000


def test_data_for_a_stream_that_is_no_more_costs_the_connection_nothing(peer):
    peer.send(headers(1, [*POST[:2], (b":path", b"/early"), POST[3]], DONE))
    peer.until(lambda kind, *_: kind == wire.RST_STREAM)
    frames = []
    for _ in range(16):
        peer.send(*[data(1, b"x" * 16384)] * 16)
        frames += peer.ping()
    assert credits_(frames, 0) >= 2**21
