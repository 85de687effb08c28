"""RFC 9113 and RFC 7541 as a table: what a client sends, and what the server has to make of it (after h2spec)."""

import struct
from dataclasses import dataclass

import pytest
from h2_stage import GET, POST, Peer, answering, block, data, get, headers, priority

from proxy_addons.front import h2_frame as wire
from proxy_addons.front.h2_error import ErrorCode as E

END, DONE = wire.END_STREAM, wire.END_HEADERS


@dataclass
class Sent:
    """The connection ends with GOAWAY and this code."""

    code: E

    def check(self, peer):
        frames = peer.end()
        codes = [wire.word(payload[4:8]) for kind, _, _, payload in frames if kind == wire.GOAWAY]
        assert codes == [self.code], frames


@dataclass
class Reset:
    """One stream ends with this code, and the connection lives."""

    code: E
    stream_id: int = 1

    def check(self, peer):
        frames = peer.ping()
        resets = [(stream, wire.word(payload)) for kind, _, stream, payload in frames if kind == wire.RST_STREAM]
        assert resets == [(self.stream_id, self.code)], frames
        assert not [frame for frame in frames if frame[0] == wire.GOAWAY]


@dataclass
class Answered:
    """The request is answered."""

    stream_id: int = 1
    status: int = 200
    body: bytes | None = None

    def check(self, peer):
        status, _, body, _ = peer.answer(self.stream_id)
        assert status == self.status
        assert self.body in {None, body}


class Ignored:
    """Nothing happens, and the connection lives."""

    def check(self, peer):
        frames = peer.ping()
        assert not [frame for frame in frames if frame[0] in {wire.GOAWAY, wire.RST_STREAM}], frames


def frame(kind, flags=0, stream_id=0, payload=b""):
    return wire.frame(kind, flags, stream_id, payload)


def window(stream_id, octets):
    return wire.window_update(stream_id, octets)


def setting(identifier, value):
    return wire.settings({identifier: value})


def head(octets, stream_id=1, flags=END | DONE):
    """HEADERS with a block as it is."""
    return frame(wire.HEADERS, flags, stream_id, octets)


def without(name):
    return [field for field in GET if field[0] != name]


LONG = b"a" * 17000
FRAME_TOO_LONG = struct.pack(">HBBBL", 16385 >> 8, 16385 & 255, 0, 0, 1) + b"x" * 16385
BLOCK = block(GET)
IN_PARTS = headers(1, GET, END), frame(wire.CONTINUATION, DONE, 1, block([(b"x", b"y")]))

CASES = {
    # 3.4: the preface
    "3.4 a request follows the preface": ([headers(1)], Answered()),
    "3.4 the first frame is not SETTINGS": ([frame(wire.PING, 0, 0, b"12345678")], Sent(E.PROTOCOL_ERROR), b""),
    "3.4 the first frame is an acknowledgement": ([frame(wire.SETTINGS, 1)], Sent(E.PROTOCOL_ERROR), b""),
    # 4.1, 4.2: frames
    "4.1 an unknown frame is ignored": ([frame(0x16, 0xFF, 0, b"?"), headers(1)], Answered()),
    "4.1 unknown flags are ignored": ([frame(wire.PING, 0x16, 0, b"12345678")], Ignored()),
    "4.1 the reserved bit is ignored": ([struct.pack(">HBBBL", 0, 8, 6, 0, 1 << 31) + b"12345678"], Ignored()),
    "4.2 a frame of the largest size": ([headers(1, POST, DONE), data(1, b"x" * 16384, END)], Answered()),
    "4.2 a frame beyond it": ([headers(1, POST, DONE), FRAME_TOO_LONG], Sent(E.FRAME_SIZE_ERROR)),
    # 4.3: header blocks
    "4.3 a block that is none": ([head(b"\x40\x05abc")], Sent(E.COMPRESSION_ERROR)),
    "4.3 a block is interrupted by PRIORITY": ([headers(1, GET, END), priority(1)], Sent(E.PROTOCOL_ERROR)),
    "4.3 a block is interrupted by HEADERS": ([headers(1, GET, END), headers(3)], Sent(E.PROTOCOL_ERROR)),
    "4.3 a block is interrupted by an unknown frame": ([headers(1, GET, END), frame(0x16)], Sent(E.PROTOCOL_ERROR)),
    # 5.1: states
    "5.1 idle: DATA": ([data(1, b"x")], Sent(E.PROTOCOL_ERROR)),
    "5.1 idle: RST_STREAM": ([wire.rst_stream(1, 8)], Sent(E.PROTOCOL_ERROR)),
    "5.1 idle: WINDOW_UPDATE": ([window(1, 10)], Sent(E.PROTOCOL_ERROR)),
    "5.1 idle: CONTINUATION": ([frame(wire.CONTINUATION, DONE, 1, BLOCK)], Sent(E.PROTOCOL_ERROR)),
    "5.1 idle: PRIORITY is allowed": ([priority(9), headers(1)], Answered()),
    "5.1 half closed: DATA": ([headers(1, get(b"/hang")), data(1, b"x")], Reset(E.STREAM_CLOSED)),
    "5.1 half closed: HEADERS": ([headers(1, get(b"/hang")), headers(1)], Reset(E.STREAM_CLOSED)),
    "5.1 half closed: WINDOW_UPDATE is allowed": ([headers(1, get(b"/hang")), window(1, 10)], Ignored()),
    "5.1 half closed: PRIORITY is allowed": ([headers(1, get(b"/hang")), priority(1)], Ignored()),
    "5.1 closed by the client: DATA": (
        [headers(1, get(b"/hang"), DONE), wire.rst_stream(1, 8), data(1, b"x")],
        Sent(E.STREAM_CLOSED),
    ),
    "5.1 closed by the client: HEADERS": (
        [headers(1, get(b"/hang"), DONE), wire.rst_stream(1, 8), headers(1)],
        Sent(E.STREAM_CLOSED),
    ),
    "5.1 closed by the client: PRIORITY is allowed": (
        [headers(1, get(b"/hang")), wire.rst_stream(1, 8), priority(1)],
        Ignored(),
    ),
    "5.1 closed by the client: RST_STREAM is ignored": (
        [headers(1, get(b"/hang")), wire.rst_stream(1, 8), wire.rst_stream(1, 8)],
        Ignored(),
    ),
    "5.1 closed by us: what was on its way is ignored": (
        [headers(1, [*GET, (b"A", b"b")], DONE), data(1, b"x"), data(1, b"x", END), window(1, 5)],
        Reset(E.PROTOCOL_ERROR),
    ),
    # 5.1.1: identifiers
    "5.1.1 an even identifier": ([headers(2)], Sent(E.PROTOCOL_ERROR)),
    "5.1.1 an identifier that was passed over": ([headers(5), headers(3)], Sent(E.PROTOCOL_ERROR)),
    "5.1.1 identifiers may be passed over": ([headers(101)], Answered(101)),
    # 5.2, 6.9: flow control
    "6.9 WINDOW_UPDATE of a wrong length": ([frame(wire.WINDOW_UPDATE, 0, 0, b"123")], Sent(E.FRAME_SIZE_ERROR)),
    "6.9 WINDOW_UPDATE by 0": ([window(0, 0)], Sent(E.PROTOCOL_ERROR)),
    "6.9 WINDOW_UPDATE by 0 on a stream": ([headers(1, get(b"/hang")), window(1, 0)], Reset(E.PROTOCOL_ERROR)),
    "6.9.1 a connection's window too large": ([window(0, 2**31 - 1)], Sent(E.FLOW_CONTROL_ERROR)),
    "6.9.1 a stream's window too large": (
        [headers(1, get(b"/hang")), window(1, 2**31 - 1)],
        Reset(E.FLOW_CONTROL_ERROR),
    ),
    "6.9.2 a window beyond 2^31 - 1 by SETTINGS": (
        [headers(1, get(b"/hang")), window(1, 2**31 - 1 - 65535), setting(4, 65536)],
        Sent(E.FLOW_CONTROL_ERROR),
    ),
    # 6.1: DATA
    "6.1 DATA on stream 0": ([data(0, b"x")], Sent(E.PROTOCOL_ERROR)),
    "6.1 padding": ([headers(1, POST, DONE), data(1, b"\x03abc\0\0\0", END | wire.PADDED)], Answered(body=b"abc")),
    "6.1 nothing but padding": (
        [headers(1, POST, DONE), data(1, b"\x03\0\0\0", END | wire.PADDED)],
        Answered(body=b""),
    ),
    "6.1 padding as long as its frame": (
        [headers(1, POST, DONE), data(1, b"\x03\0\0", END | wire.PADDED)],
        Sent(E.PROTOCOL_ERROR),
    ),
    "6.1 no length of the padding": ([headers(1, POST, DONE), data(1, b"", wire.PADDED)], Sent(E.FRAME_SIZE_ERROR)),
    # 6.2: HEADERS
    "6.2 HEADERS on stream 0": ([headers(0)], Sent(E.PROTOCOL_ERROR)),
    "6.2 padding": ([head(b"\x02" + BLOCK + b"\0\0", 1, END | DONE | wire.PADDED)], Answered()),
    "6.2 padding longer than its frame": ([head(b"\xff" + BLOCK, 1, END | DONE | wire.PADDED)], Sent(E.PROTOCOL_ERROR)),
    "6.2 a priority": ([head(b"\0\0\0\0\x0f" + BLOCK, 1, END | DONE | wire.WITH_PRIORITY)], Answered()),
    "6.2 padding and a priority": (
        [head(b"\x01\0\0\0\0\x0f" + BLOCK + b"\0", 1, END | DONE | wire.PADDED | wire.WITH_PRIORITY)],
        Answered(),
    ),
    "6.2 half a priority": ([head(b"\0\0", 1, END | DONE | wire.WITH_PRIORITY)], Sent(E.FRAME_SIZE_ERROR)),
    # 6.3: PRIORITY
    "6.3 PRIORITY on stream 0": ([priority(0)], Sent(E.PROTOCOL_ERROR)),
    "6.3 PRIORITY of a wrong length": ([frame(wire.PRIORITY, 0, 1, b"1234")], Sent(E.FRAME_SIZE_ERROR)),
    # 6.4: RST_STREAM
    "6.4 RST_STREAM on stream 0": ([wire.rst_stream(0, 8)], Sent(E.PROTOCOL_ERROR)),
    "6.4 RST_STREAM of a wrong length": (
        [headers(1, get(b"/hang")), frame(wire.RST_STREAM, 0, 1, b"123")],
        Sent(E.FRAME_SIZE_ERROR),
    ),
    # 6.5: SETTINGS
    "6.5 an acknowledgement with a payload": ([frame(wire.SETTINGS, 1, 0, b"123456")], Sent(E.FRAME_SIZE_ERROR)),
    "6.5 SETTINGS on a stream": ([frame(wire.SETTINGS, 0, 1)], Sent(E.PROTOCOL_ERROR)),
    "6.5 SETTINGS of a wrong length": ([frame(wire.SETTINGS, 0, 0, b"1234567")], Sent(E.FRAME_SIZE_ERROR)),
    "6.5.2 ENABLE_PUSH is neither 0 nor 1": ([setting(2, 2)], Sent(E.PROTOCOL_ERROR)),
    "6.5.2 INITIAL_WINDOW_SIZE is too large": ([setting(4, 2**31)], Sent(E.FLOW_CONTROL_ERROR)),
    "6.5.2 MAX_FRAME_SIZE is too small": ([setting(5, 16383)], Sent(E.PROTOCOL_ERROR)),
    "6.5.2 MAX_FRAME_SIZE is too large": ([setting(5, 2**24)], Sent(E.PROTOCOL_ERROR)),
    "6.5.2 an unknown setting is ignored": ([setting(0xFF, 1), headers(1)], Answered()),
    "6.5.2 HEADER_TABLE_SIZE of 0": ([setting(1, 0), headers(1)], Answered()),
    # 6.6: PUSH_PROMISE
    "6.6 a client promises a push": ([frame(wire.PUSH_PROMISE, DONE, 1, b"\0\0\0\2" + BLOCK)], Sent(E.PROTOCOL_ERROR)),
    # 6.7: PING
    "6.7 an acknowledgement nobody asked for": ([frame(wire.PING, 1, 0, b"12345678")], Ignored()),
    "6.7 PING on a stream": ([frame(wire.PING, 0, 1, b"12345678")], Sent(E.PROTOCOL_ERROR)),
    "6.7 PING of a wrong length": ([frame(wire.PING, 0, 0, b"1234567")], Sent(E.FRAME_SIZE_ERROR)),
    # 6.8: GOAWAY
    "6.8 GOAWAY on a stream": ([frame(wire.GOAWAY, 0, 1, bytes(8))], Sent(E.PROTOCOL_ERROR)),
    "6.8 GOAWAY is answered, and ends the connection": ([wire.goaway(0, 0)], Sent(E.NO_ERROR)),
    # 6.10: CONTINUATION
    "6.10 a block in parts": (IN_PARTS, Answered()),
    "6.10 a block in many parts": (
        [headers(1, GET, END), *[frame(wire.CONTINUATION, 0, 1, block([(b"x", b"y")]))] * 9, IN_PARTS[1]],
        Answered(),
    ),
    "6.10 a CONTINUATION behind the end of a block": ([*IN_PARTS, IN_PARTS[1]], Sent(E.PROTOCOL_ERROR)),
    "6.10 a CONTINUATION on stream 0": (
        [headers(1, GET, END), frame(wire.CONTINUATION, DONE, 0, b"")],
        Sent(E.PROTOCOL_ERROR),
    ),
    "6.10 a CONTINUATION of another stream": (
        [headers(1, GET, END), frame(wire.CONTINUATION, DONE, 3, b"")],
        Sent(E.PROTOCOL_ERROR),
    ),
    "6.10 a CONTINUATION behind DATA": (
        [headers(1, POST, DONE), data(1, b"x"), frame(wire.CONTINUATION, DONE, 1, b"")],
        Sent(E.PROTOCOL_ERROR),
    ),
    # 8.1: a message's frames
    "8.1 a second HEADERS that does not end the stream": (
        [headers(1, POST, DONE), headers(1, [(b"a", b"b")], DONE)],
        Reset(E.PROTOCOL_ERROR),
    ),
    "8.1 trailers": ([headers(1, POST, DONE), data(1, b"x"), headers(1, [(b"a", b"b")])], Answered(body=b"x")),
    "8.1 a pseudo-field in trailers": (
        [headers(1, POST, DONE), headers(1, [(b":method", b"GET")])],
        Reset(E.PROTOCOL_ERROR),
    ),
    "8.1 Content-Length in trailers": (
        [headers(1, POST, DONE), headers(1, [(b"content-length", b"0")])],
        Reset(E.PROTOCOL_ERROR),
    ),
    # 8.1.1: Content-Length
    "8.1.1 the body is as long as declared": (
        [headers(1, [*POST, (b"content-length", b"3")], DONE), data(1, b"ab"), data(1, b"c", END)],
        Answered(body=b"abc"),
    ),
    "8.1.1 the body is shorter": (
        [headers(1, [*POST, (b"content-length", b"3")], DONE), data(1, b"ab", END)],
        Reset(E.PROTOCOL_ERROR),
    ),
    "8.1.1 the body is longer": (
        [headers(1, [*POST, (b"content-length", b"3")], DONE), data(1, b"ab"), data(1, b"cd", END)],
        Reset(E.PROTOCOL_ERROR),
    ),
    "8.1.1 the body is shorter, and there are trailers": (
        [headers(1, [*POST, (b"content-length", b"3")], DONE), data(1, b"ab"), headers(1, [(b"a", b"b")])],
        Reset(E.PROTOCOL_ERROR),
    ),
    "8.1.1 there is none": ([headers(1, [*POST, (b"content-length", b"3")])], Reset(E.PROTOCOL_ERROR)),
    # RFC 7541
    "7541 2.3.3 an index beyond the tables": ([head(BLOCK + b"\xc0")], Sent(E.COMPRESSION_ERROR)),
    "7541 2.3.3 a name beyond the tables": ([head(BLOCK + b"\x7f\x00\x01x")], Sent(E.COMPRESSION_ERROR)),
    "7541 4.2 a size update behind a field": ([head(BLOCK + b"\x20")], Sent(E.COMPRESSION_ERROR)),
    "7541 4.2 two size updates": ([head(b"\x20\x3f\xe1\x1f" + BLOCK)], Answered()),
    "7541 5.1 an integer without an end": ([head(b"\x7f" + b"\xff" * 9)], Sent(E.COMPRESSION_ERROR)),
    "7541 5.2 padding of more than seven bits": ([head(BLOCK + b"\0\x01x\x83\x1f\xff\xff")], Sent(E.COMPRESSION_ERROR)),
    "7541 5.2 padding that is not all ones": ([head(BLOCK + b"\0\x01x\x81\x18")], Sent(E.COMPRESSION_ERROR)),
    "7541 5.2 EOS in a string": ([head(BLOCK + b"\0\x01x\x84\xff\xff\xff\xff")], Sent(E.COMPRESSION_ERROR)),
    "7541 5.2 a string beyond its block": ([head(BLOCK + b"\0\x7f\x10")], Sent(E.COMPRESSION_ERROR)),
    "7541 6.1 index 0": ([head(BLOCK + b"\x80")], Sent(E.COMPRESSION_ERROR)),
    "7541 6.2.1 an indexed literal is found again": ([head(BLOCK + b"\x40\x01x\x01y\xbe")], Answered()),
    "7541 6.2.3 a literal that is never indexed": ([head(BLOCK + b"\x10\x01x\x01y")], Answered()),
    "7541 6.3 a size beyond SETTINGS_HEADER_TABLE_SIZE": ([head(b"\x3f\xe2\x1f" + BLOCK)], Sent(E.COMPRESSION_ERROR)),
    # 8.2.1: fields
    "8.2 an empty name": ([headers(1, [*GET, (b"", b"x")])], Reset(E.PROTOCOL_ERROR)),
    "8.2 an upper-case name": ([headers(1, [*GET, (b"Accept", b"x")])], Reset(E.PROTOCOL_ERROR)),
    **{
        f"8.2.1 {octet!r} in a name": ([headers(1, [*GET, (b"a" + octet, b"x")])], Reset(E.PROTOCOL_ERROR))
        for octet in (b" ", b":", b"\r", b"\n", b"\0", b"\x7f", b"\xe4")
    },
    **{
        f"8.2.1 {octet!r} in a value": ([headers(1, [*GET, (b"a", b"x" + octet + b"y")])], Reset(E.PROTOCOL_ERROR))
        for octet in (b"\r", b"\n", b"\0", b"\r\nx: y", b"\x01")
    },
    "8.2.1 white space before a value": ([headers(1, [*GET, (b"a", b" x")])], Reset(E.PROTOCOL_ERROR)),
    "8.2.1 white space behind a value": ([headers(1, [*GET, (b"a", b"x\t")])], Reset(E.PROTOCOL_ERROR)),
    "8.2.1 white space behind a cookie": ([headers(1, [*GET, (b"cookie", b"x ")])], Reset(E.PROTOCOL_ERROR)),
    "8.2.1 an empty value": ([headers(1, [*GET, (b"a", b"")])], Answered()),
    # 8.2.2: fields of HTTP/1's connections
    **{
        f"8.2.2 {name.decode()}": ([headers(1, [*GET, (name, value)])], Reset(E.PROTOCOL_ERROR))
        for name, value in (
            (b"connection", b"close"),
            (b"keep-alive", b"timeout=5"),
            (b"proxy-connection", b"keep-alive"),
            (b"transfer-encoding", b"chunked"),
            (b"upgrade", b"h2c"),
            (b"te", b"gzip"),
            (b"te", b"trailers, gzip"),
        )
    },
    "8.2.2 TE: trailers is allowed": ([headers(1, [*GET, (b"te", b"trailers")])], Answered()),
    # 8.3: pseudo-fields
    "8.3 an unknown one": ([headers(1, [*GET, (b":test", b"x")])], Reset(E.PROTOCOL_ERROR)),
    "8.3 one of answers": ([headers(1, [*GET, (b":status", b"200")])], Reset(E.PROTOCOL_ERROR)),
    "8.3 one behind a field": ([headers(1, [*GET[1:], (b"a", b"b"), GET[0]])], Reset(E.PROTOCOL_ERROR)),
    "8.3 one behind a cookie": ([headers(1, [*GET[1:], (b"cookie", b"b"), GET[0]])], Reset(E.PROTOCOL_ERROR)),
    **{
        f"8.3.1 {name.decode()} twice": ([headers(1, [*GET, (name, value)])], Reset(E.PROTOCOL_ERROR))
        for name, value in GET
    },
    **{f"8.3.1 no {name.decode()}": ([headers(1, without(name))], Reset(E.PROTOCOL_ERROR)) for name, _ in GET},
    "8.3.1 an empty :path": ([headers(1, get(b""))], Reset(E.PROTOCOL_ERROR)),
    "8.3.1 a :path without a slash": ([headers(1, get(b"hello"))], Reset(E.PROTOCOL_ERROR)),
    "8.3.1 a whole URL as :path": ([headers(1, get(b"http://shop.test/"))], Reset(E.PROTOCOL_ERROR)),
    "8.3.1 white space in :path": ([headers(1, get(b"/a b"))], Reset(E.PROTOCOL_ERROR)),
    "8.3.1 a line end in :path": ([headers(1, get(b"/a HTTP/1.1\r\nhost: b\r\n\r\n"))], Reset(E.PROTOCOL_ERROR)),
    "8.3.1 a fragment in :path": ([headers(1, get(b"/a#b"))], Reset(E.PROTOCOL_ERROR)),
    "8.3.1 the :path * of GET": ([headers(1, get(b"*"))], Reset(E.PROTOCOL_ERROR)),
    "8.3.1 a :method that is none": ([headers(1, [(b":method", b"GET /"), *GET[1:]])], Reset(E.PROTOCOL_ERROR)),
    "8.3.1 a :scheme that is none of HTTP": (
        [headers(1, [(b":scheme", b"ftp"), *without(b":scheme")])],
        Reset(E.PROTOCOL_ERROR),
    ),
    "8.3.1 user information in :authority": (
        [headers(1, [*without(b":authority"), (b":authority", b"a@shop.test")])],
        Reset(E.PROTOCOL_ERROR),
    ),
    "8.3.1 Host for :authority": ([headers(1, [*without(b":authority"), (b"host", b"shop.test")])], Answered()),
    "8.3.1 Host is :authority": ([headers(1, [*GET, (b"host", b"SHOP.test")])], Answered()),
    "8.3.1 Host is not :authority": ([headers(1, [*GET, (b"host", b"other.test")])], Reset(E.PROTOCOL_ERROR)),
    "8.3.1 Host twice": (
        [headers(1, [*without(b":authority"), (b"host", b"a.test"), (b"host", b"b.test")])],
        Reset(E.PROTOCOL_ERROR),
    ),
    **{
        f"8.6 Content-Length {value!r}": (
            [headers(1, [*POST, (b"content-length", value)], DONE), data(1, b"abc", END)],
            Reset(E.PROTOCOL_ERROR),
        )
        for value in (b"+3", b"-3", b"3,3", b"0x3", b"", b"3 ", b"9" * 30)
    },
    "8.6 Content-Length twice": (
        [headers(1, [*POST, (b"content-length", b"3"), (b"content-length", b"3")], DONE), data(1, b"abc", END)],
        Reset(E.PROTOCOL_ERROR),
    ),
    # 8.5, RFC 8441: CONNECT
    "8.5 CONNECT with a path": ([headers(1, [(b":method", b"CONNECT"), *GET[1:]], DONE)], Reset(E.PROTOCOL_ERROR)),
    "8441 4 :protocol without CONNECT": ([headers(1, [*GET, (b":protocol", b"websocket")])], Reset(E.PROTOCOL_ERROR)),
    "8441 4 CONNECT for a :protocol without a path": (
        [headers(1, [(b":method", b"CONNECT"), (b":protocol", b"websocket"), GET[1], GET[3]], DONE)],
        Reset(E.PROTOCOL_ERROR),
    ),
    "9220 3 a :protocol that nobody knows": (
        [headers(1, [(b":method", b"CONNECT"), (b":protocol", b"connect-udp"), *GET[1:]], DONE)],
        Answered(status=501),
    ),
}


@pytest.fixture(scope="module")
def server():
    with answering() as front:
        yield front


@pytest.mark.parametrize("case", CASES)
def test_the_server_keeps_the_rule(server, case):
    frames, expected, *settings = CASES[case]
    with Peer(server.port, greeting=False) as peer:
        peer.send(wire.PREFACE, *(settings or [wire.settings({})]), *frames)
        expected.check(peer)


SHORT = [case for case, (frames, expected, *_) in CASES.items() if sum(map(len, frames)) < 500]


@pytest.mark.parametrize("case", [case for case in SHORT if isinstance(CASES[case][1], Answered)])
def test_it_does_so_when_every_octet_comes_alone(server, case):
    frames, expected, *_ = CASES[case]
    with Peer(server.port) as peer:
        for octet in b"".join(frames):
            peer.send(bytes((octet,)))
        expected.check(peer)


def test_a_client_of_http_1_is_told_that_it_is_none_of_http_2(server):
    with Peer(server.port, greeting=False) as peer:
        peer.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        Sent(E.PROTOCOL_ERROR).check(peer)


def test_settings_are_told_first_and_acknowledged(server):
    with Peer(server.port) as peer:
        frames = peer.until(lambda kind, flags, *_: kind == wire.SETTINGS and flags & wire.ACK)
    kind, flags, _, payload = frames[0]
    assert (kind, flags) == (wire.SETTINGS, 0)
    told = dict(wire.pairs(payload))
    assert (told[3], told[4], told[8]) == (128, 256 * 1024, 1)


def test_a_ping_is_answered_with_its_own_octets(server):
    with Peer(server.port) as peer:
        peer.send(wire.frame(wire.PING, 0, 0, b"eight!!!"))
        assert peer.until(lambda kind, *_: kind == wire.PING)[-1] == (wire.PING, wire.ACK, 0, b"eight!!!")
