"""What abusers of HTTP/2 send: it costs them their connection, and nobody else anything."""

import gc
import os
import struct
import weakref
from pathlib import Path

import pytest
from h2_stage import GET, POST, Peer, answering, block, data, get, headers, priority

from proxy_addons.front import h2_frame as wire
from proxy_addons.front.h2_error import ErrorCode as E
from proxy_addons.front.h2_limits import Allowance, Limits

TIGHT = Limits(streams=10, resets=50, idle_frames=200, unfetched=64 * 1024)


@pytest.fixture(scope="module")
def server():
    with answering(limits=TIGHT) as front:
        yield front


def sent_away(peer):
    """The code of the GOAWAY that ended the connection."""
    return next(E(wire.word(payload[4:8])) for kind, _, _, payload in peer.end() if kind == wire.GOAWAY)


def memory():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_rapid_reset_ends_the_connection(server):
    with Peer(server.port) as peer:
        for stream_id in range(1, 400, 2):
            peer.send(headers(stream_id, get(b"/hang")), wire.rst_stream(stream_id, E.CANCEL))
        assert sent_away(peer) == E.ENHANCE_YOUR_CALM


def test_streams_that_are_reset_by_their_own_faults_count_too(server):
    with Peer(server.port) as peer:
        for stream_id in range(1, 400, 2):
            peer.send(headers(stream_id, get(b"/hang")), wire.window_update(stream_id, 0))
        assert sent_away(peer) == E.ENHANCE_YOUR_CALM


def test_a_few_resets_are_life(server):
    with Peer(server.port) as peer:
        for stream_id in range(1, 80, 2):
            peer.send(headers(stream_id, get(b"/hang")), wire.rst_stream(stream_id, E.CANCEL))
        peer.send(headers(81))
        assert peer.answer(81)[0] == 200


def test_a_stream_too_many_is_refused_so_that_it_can_be_sent_again(server):
    with Peer(server.port) as peer:
        for stream_id in range(1, 23, 2):
            peer.send(headers(stream_id, get(b"/hang")))
        resets = [frame for frame in peer.ping() if frame[0] == wire.RST_STREAM]
        assert resets == [(wire.RST_STREAM, 0, 21, struct.pack(">L", E.REFUSED_STREAM))]
        peer.send(wire.rst_stream(1, E.CANCEL), headers(23))
        assert peer.answer(23)[0] == 200


@pytest.mark.parametrize(
    "frame",
    [
        wire.settings({4: 65535}),
        wire.frame(wire.SETTINGS, wire.ACK, 0),
        wire.frame(wire.PING, 0, 0, b"12345678"),
        wire.frame(wire.PING, wire.ACK, 0, b"12345678"),
        priority(1),
        data(1),
        wire.frame(wire.DATA, wire.PADDED, 1, b"\0"),
        wire.frame(0x77, 0, 0, b"?"),
        wire.rst_stream(3, E.CANCEL),
        wire.window_update(3, 1),
    ],
    ids=["settings", "ack", "ping", "pong", "priority", "empty", "padding", "unknown", "reset", "window"],
)
def test_a_flood_of_frames_that_do_nothing_ends_the_connection(server, frame):
    with Peer(server.port) as peer:
        peer.send(headers(1, POST, wire.END_HEADERS), headers(3))
        peer.answer(3)
        for _ in range(30):
            peer.send(frame * 100)
        assert sent_away(peer) == E.ENHANCE_YOUR_CALM


@pytest.mark.parametrize(("fragment", "frames"), [(b"", 64), (b"x" * 16000, 17)], ids=["empty", "large"])
def test_a_header_block_without_an_end_ends_the_connection(server, fragment, frames):
    with Peer(server.port) as peer:
        peer.send(headers(1, GET, wire.END_STREAM))
        for _ in range(frames):
            peer.send(wire.frame(wire.CONTINUATION, 0, 1, fragment))
        assert sent_away(peer) == E.ENHANCE_YOUR_CALM


def test_a_list_of_fields_that_is_too_large_is_answered_431_and_the_table_stays_true(server):
    indexed = b"\x40" + block([(b"x-late", b"y")])[1:]
    with Peer(server.port) as peer:
        large = block([*GET, *[(b"x-%d" % number, b"v" * 1000) for number in range(80)]]) + indexed
        first, *more = [large[at : at + 16384] for at in range(0, len(large), 16384)]
        peer.send(wire.frame(wire.HEADERS, wire.END_STREAM, 1, first))
        for part in more[:-1]:
            peer.send(wire.frame(wire.CONTINUATION, 0, 1, part))
        peer.send(wire.frame(wire.CONTINUATION, wire.END_HEADERS, 1, more[-1]))
        assert peer.answer(1)[0] == 431
        while not server.requests.empty():
            server.requests.get()
        peer.send(wire.frame(wire.HEADERS, wire.END_STREAM | wire.END_HEADERS, 3, block(GET) + b"\xbe"))
        assert peer.answer(3)[0] == 200
        assert (b"x-late", b"y") in server.requests.get(timeout=5).fields


def test_a_bomb_of_indexed_fields_is_not_unpacked(server):
    value = b"v" * 4000
    literal = b"\x40\x01x" + b"\x7f" + bytes((4000 - 127 & 127 | 128, 4000 - 127 >> 7)) + value
    with Peer(server.port) as peer:
        peer.send(wire.frame(wire.HEADERS, wire.END_STREAM | wire.END_HEADERS, 1, block(GET) + literal))
        assert peer.answer(1)[0] == 200
        before = memory()
        peer.send(wire.frame(wire.HEADERS, wire.END_STREAM, 3, block(GET) + b"\xbe" * 16000))
        peer.send(*[wire.frame(wire.CONTINUATION, 0, 3, b"\xbe" * 16000)] * 14)
        peer.send(wire.frame(wire.CONTINUATION, wire.END_HEADERS, 3, b"\xbe"))  # in all: 960 MB of fields
        assert peer.answer(3)[0] == 431
        assert memory() - before < 20_000_000


def test_more_data_than_a_stream_may_send_ends_the_stream(server):
    with Peer(server.port) as peer:
        peer.send(headers(1, [*POST[:2], (b":path", b"/stop"), POST[3]], wire.END_HEADERS))
        for _ in range(17):
            peer.send(data(1, b"x" * 16384))
        frames = peer.until(lambda kind, *_: kind == wire.RST_STREAM)
        assert frames[-1][2:] == (1, struct.pack(">L", E.FLOW_CONTROL_ERROR))
        peer.send(headers(3))
        assert peer.answer(3)[0] == 200


def test_more_data_than_the_connection_may_send_ends_the_connection():
    with answering(limits=Limits(connection_window=100_000, waiting=10_000)) as server, Peer(server.port) as peer:
        for stream_id in (1, 3):
            peer.send(headers(stream_id, [*POST[:2], (b":path", b"/stop"), POST[3]], wire.END_HEADERS))
        peer.ping()
        for stream_id in (1, 3):
            peer.send(*[data(stream_id, b"x" * 16384)] * 4)
        assert sent_away(peer) == E.FLOW_CONTROL_ERROR


def test_who_asks_and_never_reads_is_sent_away():
    limits = Limits(streams=1000, resets=10**6, unfetched=64 * 1024)
    with answering(limits=limits) as server, Peer(server.port) as peer:
        window = 2**31 - 1 - 65535
        peer.send(wire.settings({4: 2**31 - 1}), wire.window_update(0, window), headers(1, get(b"/bytes/100000000")))
        peer.until(lambda kind, *_: kind == wire.HEADERS)
        before = server.poured
        for stream_id in range(3, 400_000, 2):
            if not server.aborted.empty():
                break
            peer.send(headers(stream_id, get(b"/status/304")))
        assert server.poured - before < 30_000_000
        assert server.aborted.get(timeout=10)[0] == b"/bytes/100000000"


def test_what_is_used_up_comes_back_after_a_while():
    now = [0.0]
    allowance = Allowance(2, 10, lambda: now[0])
    assert [allowance.take() for _ in range(3)] == [True, True, False]
    now[0] = 0.1
    assert [allowance.take() for _ in range(2)] == [True, False]
    now[0] = 100
    assert [allowance.take() for _ in range(3)] == [True, True, False]


def test_a_head_that_is_never_completed_ends_the_connection(server):
    with Peer(server.port) as peer:
        peer.ping()
        client = list(server.made.queue)[-1]
        peer.send(headers(1)[:-3])
        server.until(lambda: client.began)
        server.call(setattr, client, "since", -(10**6))
        assert sent_away(peer) == E.ENHANCE_YOUR_CALM


def test_a_connection_that_becomes_idle_is_looked_at_again(server):
    with Peer(server.port) as peer:
        peer.send(headers(1, get(b"/hang")))
        peer.ping()
        client = list(server.made.queue)[-1]
        server.until(lambda: server.clock.stands)
        peer.send(wire.rst_stream(1, E.CANCEL))
        server.until(lambda: not server.clock.stands)
        server.call(setattr, client, "since", -(10**6))
        assert sent_away(peer) == E.NO_ERROR


def test_a_request_that_takes_long_is_not_taken_for_idle(server):
    with Peer(server.port) as peer:
        peer.send(headers(1, [*POST[:2], (b":path", b"/echo"), POST[3]], wire.END_HEADERS))
        peer.ping()
        client = list(server.made.queue)[-1]
        server.call(setattr, client, "since", -(10**6))
        server.call(server.clock.wind)
        server.until(lambda: server.clock.stands)
        peer.send(data(1, b"late", wire.END_STREAM))
        assert peer.answer(1)[2] == b"late"


def test_a_flood_of_settings_in_one_frame_ends_the_connection(server):
    """Each of them changes the windows of all streams."""
    with Peer(server.port) as peer:
        peer.send(wire.frame(wire.SETTINGS, 0, 0, struct.pack(">HL", 4, 65535) * 2730))
        assert sent_away(peer) == E.ENHANCE_YOUR_CALM


def test_long_hosts_are_not_remembered(server):
    before = memory()
    for part in range(20):
        with Peer(server.port) as peer:
            for number in range(50):
                authority = b"%d.%d." % (part, number) + b"a" * 60_000
                long = block([*get(b"/hello")[:3], (b":authority", authority)])
                head, *more = [long[at : at + 16384] for at in range(0, len(long), 16384)]
                stream_id = 2 * number + 1
                peer.send(wire.frame(wire.HEADERS, wire.END_STREAM, stream_id, head))
                for rest in more[:-1]:
                    peer.send(wire.frame(wire.CONTINUATION, 0, stream_id, rest))
                peer.send(wire.frame(wire.CONTINUATION, wire.END_HEADERS, stream_id, more[-1]))
                assert peer.answer(stream_id)[0] == 200
        while not server.requests.empty():
            server.requests.get()
    assert memory() - before < 20 * 1024 * 1024


def test_what_a_connection_had_is_given_back_when_it_ends_and_not_minutes_later(server):
    with Peer(server.port) as peer:
        peer.send(headers(1, GET))
        assert peer.answer(1)[0] == 200
        client = server.made.get()
        while not server.made.empty():  # of the tests before
            client = server.made.get()
        transport = weakref.ref(server.call(lambda: client._transport))
        assert transport() is not None
        gc.disable()  # what is freed now is in no circle
    try:
        server.until(lambda: transport() is None)
    finally:
        gc.enable()
