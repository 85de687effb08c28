"""Requests and answers of every shape, over HTTP/1, on the way that plain local requests take."""

import contextlib
import re

import pytest
from front_client import HOST, Client, client_by, field, raw_shop, status
from gateway_world import one_world, service
from raw_origin import RawOrigin, saying
from stage import free_port

world = pytest.fixture(scope="module")(one_world)
shop = pytest.fixture(raw_shop)
client = pytest.fixture(params=["http", "https"])(client_by)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_a_request_arrives_as_it_was_sent_with_what_is_added(client, shop):
    client.ask(b"/a?b=c;d", b"accept:text/html", b"X-Odd-CASE:  kept ")
    shop_head = client.answer() and shop.head()
    scheme = b"https" if shop_head.count(b"https") else b"http"
    assert shop_head == (
        b"GET /a?b=c;d HTTP/1.1\r\nHost: shop.localhost\r\naccept:text/html\r\nX-Odd-CASE:  kept \r\n"
        b"Stores-Hops: 1\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: " + scheme + b"\r\n"
        b"X-Forwarded-Host: shop.localhost\r\n"
        b"X-Forwarded-Port: " + (b"443" if scheme == b"https" else b"80") + b"\r\n"
        b"Forwarded: for=127.0.0.1;host=shop.localhost;proto=" + scheme + b"\r\n\r\n"
    )


def test_an_answer_arrives_as_it_was_sent_with_its_route(client, shop):
    shop.serve = saying(b"HTTP/1.1 299 Most Odd\r\nX-Odd-CASE:  kept\r\nContent-Length: 2\r\nA:\r\n\r\nok")
    client.ask()
    head, body = client.answer()
    assert head == (
        b"HTTP/1.1 299 Most Odd\r\nX-Odd-CASE:  kept\r\nContent-Length: 2\r\nA:\r\nX-Stores-Route: local\r\n\r\n"
    )
    assert body == b"ok"


def test_one_connection_serves_many_requests_on_both_sides(client, shop):
    for number in range(20):
        client.ask(b"/%d" % number)
        assert client.answer()[1] == b"/%d" % number
    assert shop.connections == 1


def test_pipelined_requests_are_answered_in_turn(client, shop):
    client.send(*(b"GET /%d HTTP/1.1\r\n" % number + HOST + b"\r\n" for number in range(50)))
    assert [client.answer()[1] for _ in range(50)] == [b"/%d" % number for number in range(50)]
    assert shop.connections == 1


def test_a_pipelined_request_waits_for_the_end_of_the_body_before_it(client, shop):
    def serve(wire):
        wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", wire.read(3))
        wire.read_head()
        wire.send(OK)

    shop.serve = serve
    client.ask(b"/", b"Content-Length: 3", method=b"POST", body=b"abcGET / HTTP/1.1\r\n" + HOST + b"\r\n")
    assert client.answer()[1] == b"abc"
    assert client.answer()[1] == b"ok"


def test_a_chunked_request_passes_with_extensions_and_trailers(client, shop):
    body = b'5;a=b;c="d"\r\nhello\r\n0;last\r\nX-Sum: 7\r\nX-Other:\r\n\r\n'

    def serve(wire):
        wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), wire.read(len(body)))

    shop.serve = serve
    client.ask(b"/", b"Transfer-Encoding: Chunked", b"Trailer: X-Sum", method=b"POST", body=body)
    assert client.answer()[1] == body
    assert field(shop.head(), b"trailer") == [b"X-Sum"]


def test_a_chunked_answer_passes_with_extensions_and_trailers(client, shop):
    body = b"5;a=b\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n"
    shop.serve = saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body, OK)
    client.ask()
    head = client.read_until(b"\r\n\r\n")
    assert field(head, b"transfer-encoding") == [b"chunked"]
    assert client.read(len(body)) == body
    client.ask()
    assert client.answer()[1] == b"ok"
    assert shop.connections == 1


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_chunked_answer_in_pieces_of_any_size_keeps_its_bytes(client, shop, size):
    body = (
        b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (b"x" * 300, b"y" * 17, b"\r\n0\r\n\r\n"))
        + b"0\r\n\r\n"
    )

    def serve(wire):
        wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(body), size):
            wire.send(body[at : at + size])
        wire.read_head()
        wire.send(OK)

    shop.serve = serve
    client.ask()
    client.read_until(b"\r\n\r\n")
    assert client.read(len(body)) == body
    client.ask()
    assert client.answer()[1] == b"ok"


def test_an_answer_without_length_ends_with_the_connection(client, shop):
    shop.serve = saying(b"HTTP/1.1 200 OK\r\n\r\nto the end")
    client.ask()
    head = client.read_until(b"\r\n\r\n")
    assert field(head, b"connection") == [b"close"]
    assert client.read_to_end() == b"to the end"


def test_a_service_that_speaks_http10_is_answered_for_in_http11(client, shop):
    shop.serve = saying(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
    for _ in range(2):
        client.ask()
        head, body = client.answer()
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert body == b"ok"
    assert shop.connections == 2


def test_a_service_that_keeps_an_http10_connection_says_so(client, shop):
    shop.serve = saying(*[b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"] * 2)
    for _ in range(2):
        client.ask()
        assert field(client.answer()[0], b"connection") == []
    assert shop.connections == 1


def test_a_client_of_http10_gets_a_plain_body_and_the_end(client, shop):
    shop.serve = saying(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5;x\r\nhello\r\n4\r\n you\r\n0\r\nX-Sum: 1\r\n\r\n"
    )
    client.ask(b"/", b"Connection: keep-alive", version=b"HTTP/1.0")
    head = client.read_until(b"\r\n\r\n")
    assert field(head, b"transfer-encoding") == []
    assert field(head, b"connection") == [b"close"]
    assert client.read_to_end() == b"hello you"
    assert shop.head().startswith(b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize("number", [204, 304])
@pytest.mark.parametrize("more", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_an_answer_that_has_no_body_has_none_whatever_it_says(client, shop, number, more):
    shop.serve = saying(b"HTTP/1.1 %d X\r\n" % number + more + b"\r\n", OK)
    client.ask()
    assert status(client.read_until(b"\r\n\r\n")) == number
    client.ask()
    assert client.answer()[1] == b"ok"
    assert shop.connections == 1


@pytest.mark.parametrize("more", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_an_answer_to_head_has_no_body_whatever_it_says(client, shop, more):
    shop.serve = saying(b"HTTP/1.1 200 OK\r\n" + more + b"\r\n", OK)
    client.ask(method=b"HEAD")
    head, _ = client.answer(body=False)
    assert (more in head, status(head)) == (True, 200)
    client.ask()
    assert client.answer()[1] == b"ok"
    assert shop.connections == 1


def test_interim_answers_come_before_the_final_one_one_by_one(client, shop):
    def serve(wire):
        wire.read_head()
        wire.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        wire.read(1)
        wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n", OK)

    shop.serve = serve
    client.ask(b"/", b"Content-Length: 1", method=b"PUT")
    assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 102 Processing\r\n\r\n"
    client.send(b"x")
    assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
    assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 103 Early Hints\r\n\r\n"
    assert client.answer()[1] == b"ok"


def test_the_service_decides_whether_a_body_may_come(client, shop):
    def serve(wire):
        assert field(wire.read_head(), b"expect") == [b"100-continue"]
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", wire.read(3))

    shop.serve = serve
    client.ask(b"/", b"Expect: 100-continue", b"Content-Length: 3", method=b"PUT")
    assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"abc")
    assert client.answer()[1] == b"abc"


def test_an_answer_before_the_end_of_the_request_is_the_connections_last(client, shop):
    """Nobody can know whether the rest of the body is still to come (RFC 9112, section 9.3)."""
    shop.serve = saying(b"HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno")
    client.ask(b"/", b"Content-Length: 100", method=b"PUT", body=b"x")
    head, body = client.answer()
    assert (status(head), field(head, b"connection"), body) == (413, [b"close"], b"no")
    assert client.read_to_end() == b""


def test_what_an_answer_says_early_survives_a_client_that_goes_on_sending(client, shop):
    """A reset would take the answer from the client's buffer (RFC 9112, section 9.6)."""
    shop.serve = saying(b"HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno")
    client.ask(b"/", b"Content-Length: 10000000", method=b"PUT", body=b"x" * 100_000)
    for _ in range(20):
        try:
            client.send(b"x" * 10_000)
        except OSError:
            break
    assert status(client.answer()[0]) == 413


def test_an_early_answer_is_not_lost_where_its_service_closes_on_a_client_that_sends(world, shop):
    """Its reset fails our next write: what it had said before has to be read first. Thirty times, as it is a race."""
    shop.serve = saying(b"HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno")
    for _ in range(30):
        with Client(world) as client:
            client.ask(b"/", b"Content-Length: 10000000", method=b"PUT", body=b"x" * 100_000)
            with contextlib.suppress(OSError):
                for _ in range(20):
                    client.send(b"x" * 10_000)
            assert status(client.answer()[0]) == 413


def test_a_client_that_wants_the_connection_closed_gets_it(client, shop):
    client.ask(b"/", b"Connection: close")
    head, _ = client.answer()
    assert field(head, b"connection") == [b"close"]
    assert client.read_to_end() == b""
    assert field(shop.head(), b"connection") == []


def test_a_service_that_closes_its_connection_does_not_close_the_clients(client, shop):
    shop.serve = saying(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    for _ in range(3):
        client.ask()
        assert field(client.answer()[0], b"connection") == []
    assert shop.connections == 3


HOP_BY_HOP = (b"Keep-Alive: 5", b"Proxy-Connection: x", b"TE: trailers", b"Proxy-Authorization: x", b"Upgrade: h2c")


def test_what_concerns_one_connection_stays_on_it(client, shop):
    client.ask(b"/", b"Connection: keep-alive, X-Named,, x-other", b"X-Named: 1", b"X-Other: 2", *HOP_BY_HOP, b"A: b")
    client.answer()
    names = {line.split(b":")[0].lower() for line in shop.head().split(b"\r\n")[1:-2]}
    assert names == {
        *(b"host", b"a", b"stores-hops", b"forwarded"),
        *(b"x-forwarded-" + name for name in (b"for", b"proto", b"host", b"port")),
    }


def test_what_concerns_the_services_connection_stays_on_that(client, shop):
    shop.serve = saying(
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Named\r\nKeep-Alive: timeout=5\r\nX-Named: 1\r\n"
        b"Content-Length: 2\r\nX-Stores-Route: remote\r\nSet-Cookie: b\r\nSet-Cookie: a\r\n\r\nok"
    )
    client.ask()
    assert client.answer()[0] == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: b\r\nSet-Cookie: a\r\nX-Stores-Route: local\r\n\r\n"
    )


def test_nobody_can_switch_off_the_framing_by_naming_it(client, shop):
    def serve(wire):
        wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 2\r\n\r\n", wire.read(2))

    shop.serve = serve
    client.ask(b"/", b"Connection: Content-Length, Host", b"Content-Length: 2", method=b"POST", body=b"ab")
    assert client.answer()[1] == b"ab"
    head = shop.head()
    assert (field(head, b"content-length"), field(head, b"host")) == ([b"2"], [b"shop.localhost"])


def test_addresses_are_appended_and_claims_replaced(client, shop):
    client.ask(
        *(b"/", b"X-Forwarded-For: 203.0.113.7", b"X-Forwarded-For: 203.0.113.8", b"X-Forwarded-Host: evil.example"),
        *(b"X-Forwarded-Proto: gopher", b"X-Real-IP: 203.0.113.9", b"Forwarded: for=203.0.113.7", b"Stores-Hops: 2"),
    )
    client.answer()
    head = shop.head()
    assert field(head, b"x-forwarded-for") == [b"203.0.113.7, 203.0.113.8, 127.0.0.1"]
    assert field(head, b"x-forwarded-host") == [b"shop.localhost"]
    assert field(head, b"x-forwarded-proto")[0] in {b"http", b"https"}
    assert field(head, b"x-real-ip") == []
    assert field(head, b"forwarded")[0].startswith(b"for=203.0.113.7, for=127.0.0.1;host=shop.localhost;proto=http")
    assert field(head, b"stores-hops") == [b"3"]


def test_a_request_that_came_round_too_often_is_508(client, shop):
    client.ask(b"/", b"Stores-Hops: 8")
    assert status(client.answer()[0]) == 508
    assert shop.untouched


HOSTS = [
    b"SHOP.LocalHost",
    b"shop.localhost.",
    b"shop.localhost:8080",
    b"a.b.shop.localhost",
    b"shop.local.example.com",
]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_is_found_however_it_is_written_and_kept_as_it_is(world, shop, host):
    with Client(world) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: ", host, b"\r\n\r\n")
        assert field(client.answer()[0], b"x-stores-route") == [b"local"]
    head = shop.head()
    assert field(head, b"host") == [host]
    told = host.lower().removesuffix(b".")
    assert field(head, b"x-forwarded-host") == [told]


def test_an_international_name_is_found_by_its_ascii_form(world):
    origin = RawOrigin()
    world.tell(service("shop", port=origin.port, hosts=("xn--caf-dma",)))
    with Client(world) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: xn--caf-dma.localhost\r\n\r\n")
        assert field(client.answer()[0], b"x-stores-route") == [b"local"]
        client.send("GET / HTTP/1.1\r\nHost: café.localhost\r\n\r\n".encode())
        assert status(client.answer()[0]) == 404
    origin.close()


def test_a_whole_url_counts_more_than_host(world, shop):
    with Client(world) as client:
        client.send(b"GET http://shop.localhost/x HTTP/1.1\r\nHost: other.localhost\r\n\r\n")
        assert field(client.answer()[0], b"x-stores-route") == [b"local"]
    head = shop.head()
    assert (head.split(b" ")[1], field(head, b"host")) == (b"/x", [b"shop.localhost"])


def test_options_for_the_server_itself_passes(world, shop):
    with Client(world) as client:
        client.ask(b"*", method=b"OPTIONS")
        assert field(client.answer()[0], b"x-stores-route") == [b"local"]
    assert shop.head().startswith(b"OPTIONS * HTTP/1.1\r\n")


def test_a_path_that_is_no_ascii_passes_as_it_is(world, shop):
    with Client(world) as client:
        client.ask("/café".encode())
        assert client.answer()[1] == "/café".encode()


def test_a_service_is_reached_on_ipv6(world):
    origin = RawOrigin(host="::1")
    world.tell(service("shop", port=origin.port))
    with Client(world) as client:
        client.ask()
        assert field(client.answer()[0], b"x-stores-route") == [b"local"]
    origin.close()


BROKEN = {
    "no HTTP": b"220 smtp.example.com ready\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "a length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
    "a folded field": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "a bare LF": b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0\r\n\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a first chunk that is none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a head without end": b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000,
    "half a head": b"HTTP/1.1 200 OK\r\nA: b",
    "nothing": b"",
}


@pytest.mark.parametrize("case", BROKEN)
def test_an_answer_that_is_none_becomes_a_page(world, shop, case):
    shop.serve = saying(BROKEN[case])
    with Client(world) as client:
        client.ask(b"/", b"Accept: application/json")
        head, body = client.answer()
    assert (status(head), field(head, b"x-stores-route")) == (502, [b"fallback"])
    assert b'"broken-answer"' in body


def test_what_a_service_says_unasked_is_given_to_nobody(world, shop):
    """Response splitting: whatever stands behind an answer is not the next one's."""
    shop.serve = saying(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    with Client(world) as client:
        for _ in range(3):
            client.ask()
            assert client.answer()[1] == b"ok"
    assert shop.connections == 3


def test_the_page_answers_where_the_service_refuses(world):
    world.tell(service("shop", port=free_port()))
    with Client(world) as client:
        for _ in range(2):
            client.ask(b"/", b"Accept: application/json", b"Content-Length: 3", method=b"POST", body=b"abc")
            head, body = client.answer()
            assert (status(head), b'"refused"' in body) == (502, True)


def test_a_change_of_route_counts_for_the_next_request(world, shop):
    with Client(world) as client:
        client.ask()
        assert client.answer()[1] == b"/"
        world.tell(service("shop", remote=None))
        client.ask()
        head, _ = client.answer()
        assert (status(head), field(head, b"x-stores-route")) == (503, [b"fallback"])
        world.tell(service("shop", port=shop.port))
        client.ask(b"/again")
        assert client.answer()[1] == b"/again"


def test_each_answer_says_its_route_once(world, shop):
    with Client(world) as client:
        for host, route in ((b"shop.localhost", b"local"), (b"nobody.localhost", b"fallback")):
            client.send(b"GET / HTTP/1.1\r\nHost: ", host, b"\r\n\r\n")
            head, _ = client.answer()
            assert re.findall(rb"(?i)x-stores-route: (\w+)", head) == [route]


@pytest.mark.parametrize("line", [b"HTTP/1.1 000 None", b"HTTP/1.1 099 Early"])
def test_a_status_that_is_none_is_a_broken_answer(client, shop, line):
    shop.serve = saying(line + b"\r\nContent-Length: 2\r\n\r\nok")
    client.ask()
    assert status(client.answer()[0]) == 502


def test_a_change_of_protocol_that_nobody_asked_for_is_a_broken_answer(client, shop):
    shop.serve = saying(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: mine\r\n\r\nhello")
    client.ask()
    assert status(client.answer()[0]) == 502


@pytest.mark.parametrize(
    "words",
    [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x15\x03\x01\0\x02\x02\x46", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", b"hello"],
    ids=["ssh", "a TLS alert", "bare LFs", "text"],
)
def test_what_is_no_http_is_told_at_once_and_not_waited_for(client, shop, words):
    def serve(wire):
        wire.read_head()
        wire.send(words)
        wire.read_head()  # it waits as well

    shop.serve = serve
    client.ask()
    assert status(client.answer()[0]) == 502
