"""The two ways through the gateway do the same: what a service gets, and what its client gets.

Each case is sent twice to one service: with a path, which the front relays, and with a whole URL, which it hands to
mitmproxy. What may differ is named in `request_seen` and `answer_seen`, and nowhere else.
"""

import h11
import pytest
from front_client import Client
from gateway_world import one_world, service
from raw_origin import RawOrigin, saying

world = pytest.fixture(scope="module")(one_world)

#: Set by the gateway; their place among the other fields is not promised.
OURS = {
    "stores-hops",
    "forwarded",
    "x-stores-route",
    *(f"x-forwarded-{name}" for name in ("for", "proto", "host", "port")),
}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def shop(world):
    origin = RawOrigin()
    world.tell(service("shop", port=origin.port))
    yield origin
    origin.close()


class Seen:
    """One message as h11 reads it: its head, its body without framing, its trailers."""

    def __init__(self, role, method="GET"):
        self._parser = h11.Connection(role, max_incomplete_event_size=1 << 20)
        if role is h11.CLIENT:
            self._parser.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
            self._parser.send(h11.EndOfMessage())
        self.interim, self.head, self.body, self.trailers, self.ended = [], None, b"", [], False

    def feed(self, data):
        self._parser.receive_data(data)
        while not self.ended:
            event = self._parser.next_event()
            if event in (h11.NEED_DATA, h11.PAUSED):
                return
            if isinstance(event, h11.InformationalResponse):
                self.interim.append((event.status_code, sorted(event.headers.raw_items())))
                if event.status_code == 101:
                    self.head, self.ended = event, True
            elif isinstance(event, h11.Data):
                self.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self.trailers, self.ended = list(event.headers.raw_items()), True
            elif isinstance(event, h11.ConnectionClosed):
                self.ended = True
            else:
                self.head = event

    @property
    def fields(self):
        """In order, but for ours, which come last. Spaces around values are nobody's."""
        pairs = [(name.decode(), value.decode("latin-1").strip()) for name, value in self.head.headers.raw_items()]
        ours = sorted((name.lower(), value) for name, value in pairs if name.lower() in OURS)
        return [pair for pair in pairs if pair[0].lower() not in OURS], ours


def request_seen(seen):
    """Chunks may be cut in another way, and their extensions, which mean nothing beyond one connection, may go."""
    return seen.head.method, seen.head.target, seen.head.http_version, seen.fields, seen.body, seen.trailers


def answer_seen(seen):
    """The same of an answer. Connection says only whether the connection goes on."""
    plain, ours = seen.fields
    plain = [pair for pair in plain if pair[0].lower() != "connection"]
    return seen.head.status_code, seen.head.reason, plain, ours, seen.body, seen.trailers, seen.interim


def exchange(world, shop, request, answer, method):
    at_service = []

    def serve(wire):
        seen = Seen(h11.SERVER)
        seen.feed(wire.read_head())
        while not seen.ended:
            data, wire.rest = wire.rest, b""
            seen.feed(data or wire.socket.recv(65536))
        at_service.append(seen)
        wire.send(answer)

    shop.serve = serve
    seen = Seen(h11.CLIENT, method.decode())
    with Client(world) as client:
        client.send(request)
        while not seen.ended:
            data = client.socket.recv(65536)
            seen.feed(data)
    return [request_seen(each) for each in at_service], answer_seen(seen)


def both_ways(world, shop, method, fields, body, answer):
    lines = b"".join(field + b"\r\n" for field in (b"Host: shop.localhost", *fields))
    results = []
    for target in (b"/a/b?c=%20d", b"http://shop.localhost/a/b?c=%20d"):
        request = method + b" " + target + b" HTTP/1.1\r\n" + lines + b"\r\n" + body
        results.append(exchange(world, shop, request, answer, method))
    return results


REQUESTS = {
    "plain": (b"GET", [b"Accept: */*", b"User-Agent: x"], b""),
    "case and order": (b"GET", [b"zEBRA: 1", b"aLPHA: 2", b"Zebra: 3"], b""),
    "spaces": (b"GET", [b"A:   b  ", b"C:d", b"E:"], b""),
    "bytes beyond ASCII": (b"GET", ["A: café".encode(), b"B: caf\xe9"], b""),
    "cookies": (b"GET", [b"Cookie: a=1; b=2", b"Cookie: c=3"], b""),
    "keep-alive": (b"GET", [b"Connection: keep-alive", b"Keep-Alive: timeout=5"], b""),
    "a browser": (
        b"GET",
        [
            *(b"Connection: keep-alive", b"Upgrade-Insecure-Requests: 1", b"Sec-Fetch-Mode: navigate"),
            *(b"Accept-Encoding: gzip, deflate, br", b"Accept-Language: de", b'If-None-Match: W/"x"'),
        ],
        b"",
    ),
    "named by Connection": (b"GET", [b"Connection: X-Gone, x-also", b"X-Gone: 1", b"X-Also: 2", b"X-Here: 3"], b""),
    "hop by hop": (b"GET", [b"TE: trailers", b"Proxy-Connection: x", b"Proxy-Authorization: y", b"A: b"], b""),
    "h2c": (b"GET", [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"], b""),
    "forwarded": (
        b"GET",
        [b"X-Forwarded-For: 203.0.113.7", b"X-Forwarded-For: 203.0.113.8", b"Forwarded: for=_a"],
        b"",
    ),
    "claims": (
        b"GET",
        [b"X-Forwarded-Proto: https", b"X-Forwarded-Host: evil", b"X-Real-IP: 1", b"X-Forwarded-Ssl: on"],
        b"",
    ),
    "hops": (b"GET", [b"Stores-Hops: 3", b"stores-hops: nonsense"], b""),
    "too many hops": (b"GET", [b"Stores-Hops: 8"], b""),
    "a forged route": (b"GET", [b"X-Stores-Route: remote"], b""),
    "HEAD": (b"HEAD", [], b""),
    "OPTIONS": (b"OPTIONS", [b"Origin: https://a.example", b"Access-Control-Request-Method: PUT"], b""),
    "DELETE": (b"DELETE", [], b""),
    "a length": (b"POST", [b"Content-Length: 5", b"Content-Type: text/plain"], b"hello"),
    "a length of none": (b"POST", [b"Content-Length: 0"], b""),
    "POST without a body": (b"POST", [], b""),
    "GET with a body": (b"GET", [b"Content-Length: 3"], b"abc"),
    "chunks": (b"PUT", [b"Transfer-Encoding: chunked"], b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"),
    "chunks and trailers": (
        b"PUT",
        [b"Transfer-Encoding: chunked", b"Trailer: X-Sum"],
        b"1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n",
    ),
    "a body that names its length away": (b"POST", [b"Connection: Content-Length", b"Content-Length: 2"], b"ab"),
    "a large body": (b"POST", [b"Content-Length: 300000"], b"x" * 300_000),
    "authorization": (b"GET", [b"Authorization: Bearer x.y.z"], b""),
    "a range": (b"GET", [b"Range: bytes=0-1", b'If-Range: "x"'], b""),
}

ANSWERS = {
    "plain": OK,
    "no reason": b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",
    "case and order": b"HTTP/1.1 200 OK\r\nzEBRA: 1\r\naLPHA: 2\r\nContent-Length: 2\r\nZebra: 3\r\n\r\nok",
    "cookies": b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok",
    "spaces": b"HTTP/1.1 200 OK\r\nA:   b  \r\nC:d\r\nE:\r\nContent-Length: 2\r\n\r\nok",
    "Node": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\nok",
    "closing": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "named by Connection": b"HTTP/1.1 200 OK\r\nConnection: A\r\nA: 1\r\nB: 2\r\nContent-Length: 2\r\n\r\nok",
    "a forged route": b"HTTP/1.1 200 OK\r\nX-Stores-Route: remote\r\nContent-Length: 2\r\n\r\nok",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
    "trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n1\r\na\r\n0\r\nA: 1\r\n\r\n",
    "no length": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "nothing": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "204": b"HTTP/1.1 204 No Content\r\nA: b\r\n\r\n",
    "304": b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
    "304 with a length": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: http://shop.localhost/x\r\nContent-Length: 0\r\n\r\n",
    "401": b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n',
    "503": b"HTTP/1.1 503 Not Yet\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
    "an odd status": b"HTTP/1.1 599 X\r\nContent-Length: 0\r\n\r\n",
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
    "two interim answers": b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" + OK,
    "a large one": b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000,
    "gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
    "alt-svc": b'HTTP/1.1 200 OK\r\nAlt-Svc: h3=":443"\r\nContent-Length: 2\r\n\r\nok',
}


@pytest.mark.parametrize("case", REQUESTS)
def test_a_request_is_the_same_either_way(world, shop, case):
    relayed, handed_over = both_ways(world, shop, *REQUESTS[case], OK)
    assert relayed == handed_over


@pytest.mark.parametrize("method", [b"GET", b"POST"])
@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_is_the_same_either_way(world, shop, case, method):
    fields = [b"Content-Length: 0"] if method == b"POST" else []
    relayed, handed_over = both_ways(world, shop, method, fields, b"", ANSWERS[case])
    assert relayed == handed_over


@pytest.mark.parametrize("more", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b""])
def test_an_answer_to_head_is_the_same_either_way(world, shop, more):
    answer = b"HTTP/1.1 200 OK\r\n" + more + b"\r\n"
    relayed, handed_over = both_ways(world, shop, b"HEAD", [], b"", answer)
    assert relayed == handed_over


def test_the_two_ways_are_two(world, shop):
    """Else this file would compare the front with itself: mitmproxy drops what chunks say beside their size."""
    chunks = b"1;a=b\r\na\r\n0\r\n\r\n"
    shop.serve = saying(*[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks] * 2)
    bodies = []
    for target in (b"/", b"http://shop.localhost/"):
        with Client(world) as client:
            client.send(b"GET ", target, b" HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n")
            bodies.append(client.read_to_end().partition(b"\r\n\r\n")[2])
    assert bodies == [chunks, chunks.replace(b";a=b", b"")]
