"""What could be read in two ways is refused, and no byte of it reaches a service."""

import pytest
from front_client import HOST, Client, field, raw_shop, status
from gateway_world import one_world

world = pytest.fixture(scope="module")(one_world)
shop = pytest.fixture(raw_shop)


GET = b"GET / HTTP/1.1\r\n" + HOST
POST = b"POST / HTTP/1.1\r\n" + HOST

REFUSED = {
    "a length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
    "the same length twice": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n12345",
    "a list of lengths": POST + b"Content-Length: 5, 5\r\n\r\n12345",
    "a length with a sign": POST + b"Content-Length: +5\r\n\r\n12345",
    "a negative length": POST + b"Content-Length: -5\r\n\r\n12345",
    "a hexadecimal length": POST + b"Content-Length: 0x5\r\n\r\n12345",
    "no length": POST + b"Content-Length:\r\n\r\n",
    "a length beyond all integers": POST + b"Content-Length: 99999999999999999999\r\n\r\n",
    "another coding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "another coding below the chunks": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "two fields of chunks": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "identity": POST + b"Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n",
    "a coding with a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk's size of no digits": POST + b"Transfer-Encoding: chunked\r\n\r\n\r\n\r\n",
    "a chunk's size that is none": POST + b"Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
    "a chunk's size with 0x": POST + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
    "a chunk's size with a sign": POST + b"Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
    "a chunk's size with an underscore": POST + b"Transfer-Encoding: chunked\r\n\r\n1_0\r\na\r\n0\r\n\r\n",
    "a chunk's size with a space": POST + b"Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n",
    "a chunk's size beyond all integers": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 16 + b"\r\na\r\n",
    "a chunk's line with a bare LF": POST + b"Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
    "an extension with a bare CR": POST + b"Transfer-Encoding: chunked\r\n\r\n1;a\rb\r\na\r\n0\r\n\r\n",
    "a chunk that is longer than it says": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
    "a chunk without its line end": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na0\r\n\r\n",
    "a trailer that is none": POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nnonsense\r\n\r\n",
    "a folded trailer": POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n c\r\n\r\n",
    "a bare LF": b"GET / HTTP/1.1\n" + HOST + b"\r\n",
    "a bare LF behind a field": GET + b"A: b\n\r\n",
    "nothing but LFs": b"GET / HTTP/1.1\nHost: shop.localhost\n\n",
    "a bare CR": GET + b"A: b\rc\r\n\r\n",
    "a folded field": GET + b"A: b\r\n c\r\n\r\n",
    "a folded first field": b"GET / HTTP/1.1\r\n A: b\r\n" + HOST + b"\r\n",
    "a NUL in a value": GET + b"A: b\0c\r\n\r\n",
    "a NUL in a name": GET + b"A\0: b\r\n\r\n",
    "a NUL in the target": b"GET /\0 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a control character in a value": GET + b"A: \x01\r\n\r\n",
    "a space before the colon": GET + b"Content-Length : 0\r\n\r\n",
    "a tab before the colon": GET + b"Transfer-Encoding\t: chunked\r\n\r\n",
    "no name": GET + b": b\r\n\r\n",
    "no colon": GET + b"nonsense\r\n\r\n",
    "a name with a character of no token": GET + b"(a): b\r\n\r\n",
    "a name of no ASCII": GET + b"\xe9: b\r\n\r\n",
    "two spaces in the request line": b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space behind the version": b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n",
    "a tab in the request line": b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "no version": b"GET /\r\n" + HOST + b"\r\n",
    "HTTP/0.9": b"GET / HTTP/0.9\r\n" + HOST + b"\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\n" + HOST + b"\r\n",
    "HTTP/2 in HTTP/1's clothes": b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
    "RTSP": b"GET / RTSP/1.0\r\n" + HOST + b"\r\n",
    "a method in lower case": b"get / HTTP/1.1\r\n" + HOST + b"\r\n",
    "an unknown method": b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target that is no path": b"GET index.html HTTP/1.1\r\n" + HOST + b"\r\n",
    "no HTTP at all": b"\x80\x01\x02\x03",
}


@pytest.mark.parametrize("case", REFUSED)
def test_is_refused_and_never_forwarded(world, shop, case):
    with Client(world) as client:
        client.send(REFUSED[case])
        head, body = client.answer()
        rest = client.read_to_end()
    assert status(head) == 400
    assert (field(head, b"connection"), field(head, b"x-stores-route")) == ([b"close"], [b"fallback"])
    assert (bool(body), rest) == (True, b"")
    assert shop.untouched


@pytest.mark.parametrize("case", ["", "two", "nonsense"])
def test_a_host_that_is_none_or_two_is_refused_by_the_page(world, shop, case):
    hosts = {"": b"", "two": HOST + b"host: other.localhost\r\n", "nonsense": b"Host: shop.localhost/x\r\n"}[case]
    with Client(world) as client:
        client.send(b"GET / HTTP/1.1\r\n", hosts, b"\r\n")
        assert status(client.answer()[0]) == 400
    assert shop.untouched


@pytest.mark.parametrize("case", REFUSED)
def test_what_follows_a_good_request_is_refused_just_the_same(world, shop, case):
    """On a connection that is kept, where the parser has a past."""
    with Client(world) as client:
        client.ask(b"/good")
        assert client.answer()[1] == b"/good"
        shop.heads.get()
        client.send(REFUSED[case])
        assert status(client.answer()[0]) == 400
        assert client.read_to_end() == b""
    assert shop.heads.empty()


@pytest.mark.parametrize("case", [name for name in REFUSED if "no HTTP" not in name])
def test_is_refused_too_when_it_comes_byte_by_byte(world, shop, case):
    with Client(world) as client:
        for byte in REFUSED[case]:
            try:
                client.send(bytes([byte]))
            except OSError:
                break  # refused before its end
        answer = client.read_to_end()
    assert answer.startswith(b"HTTP/1.1 400 ")
    for sent in list(shop.heads.queue):
        # the head was good, the body was not: the service must not see a complete request
        assert b"Transfer-Encoding: chunked" in sent


def test_a_body_that_breaks_its_framing_later_ends_the_services_connection(world, shop):
    ended = []

    def serve(wire):
        wire.read_head()
        ended.append(wire.read_to_end())

    shop.serve = serve
    with Client(world) as client:
        client.ask(b"/", b"Transfer-Encoding: chunked", method=b"POST", body=b"1\r\na\r\n")
        shop.head()
        client.send(b"zz\r\n")
        assert status(client.answer()[0]) == 400
    assert shop.gone.get(timeout=20)
    assert ended == [b"1\r\na\r\n"]


def test_a_head_up_to_64_kib_passes_and_a_longer_one_is_431(world, shop):
    with Client(world) as client:
        client.ask(b"/", b"A: " + b"x" * 65000)
        assert status(client.answer()[0]) == 200
        assert len(shop.head()) > 65000
        client.ask(b"/", b"A: " + b"x" * 66000)
        assert status(client.answer()[0]) == 431
        assert client.read_to_end() == b""
    assert shop.heads.empty()


def test_a_head_without_end_is_431_before_it_fills_the_memory(world, shop):
    with Client(world) as client:
        client.send(b"GET / HTTP/1.1\r\nA: ", b"x" * 70000)
        assert status(client.answer()[0]) == 431
    assert shop.untouched


def test_empty_lines_before_a_request_are_skipped(world, shop):
    """RFC 9112, section 2.2."""
    with Client(world) as client:
        client.send(b"\r\n")
        client.ask(b"/one")
        assert client.answer()[1] == b"/one"
