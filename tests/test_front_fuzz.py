"""Whatever comes, the front reads it as h11 does or refuses it, stays alive, and no service sees what it must not see.

h11 is the judge: a strict reader of HTTP/1.1, written by others. STORES_FUZZ_SECONDS makes the last test run longer.
"""

import os
import random
import socket
import time
from contextlib import suppress

import h11
import pytest
from front_client import HOST, Client
from gateway_world import one_world, service
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_origin import RawOrigin

from proxy_addons.front.chunks import Chunks, chunk, last_chunk
from proxy_addons.front.client import Client as Peer
from proxy_addons.front.exchange import CHUNKED
from proxy_addons.front.heads import END
from proxy_addons.front.request_head import RequestReader
from proxy_addons.front.response_head import ResponseReader

SECONDS = float(os.environ.get("STORES_FUZZ_SECONDS", "5"))

world = pytest.fixture(scope="module")(one_world)

#: What heads and chunks are made of, and what has confused other readers.
WORDS = [
    *(
        b"GET",
        b"POST",
        b"HEAD",
        b"PUT",
        b"get",
        b"/",
        b"/a?b",
        b"*",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"HTTP/0.9",
        b"HTTP/2.0",
    ),
    *(
        b" ",
        b"  ",
        b"\t",
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"\0",
        b"\x0b",
        b"\x7f",
        b"\xe9",
        b":",
        b": ",
        b" :",
        b",",
        b";",
    ),
    *(
        b"Host",
        b"host",
        b"a.localhost",
        b"Content-Length",
        b"content-length",
        b"Transfer-Encoding",
        b"transfer_encoding",
    ),
    *(b"chunked", b"Chunked", b"gzip", b"identity", b"Connection", b"close", b"keep-alive", b"Upgrade", b"websocket"),
    *(
        b"0",
        b"1",
        b"5",
        b"05",
        b"+5",
        b"-1",
        b"0x5",
        b"5 ",
        b"a",
        b"F",
        b"ffffffffffffffff",
        b"hello",
        b"Expect",
        b"X-A",
    ),
]
#: curl sends a path that is no ASCII as it is, and the front passes it; h11 knows no such thing, so it is shown this.
ASCII = bytes(range(128)) + b"x" * 128
lumps = st.lists(st.sampled_from(WORDS) | st.binary(max_size=3), max_size=24).map(b"".join)


@pytest.mark.newest  # a pure function, against a pure function
@settings(max_examples=1500, deadline=None)
@given(lumps, lumps)
def test_a_head_is_read_as_h11_reads_it_or_refused(fields, target):
    for head in (
        b"POST / HTTP/1.1\r\nHost: a\r\n" + fields.replace(END, b"") + END,
        b"GET /" + target.replace(END, b"") + b" HTTP/1.1\r\nHost: a" + END,
    ):
        cut = head[: head.index(END) + len(END)].translate(ASCII if head.startswith(b"GET") else None)
        try:
            request = RequestReader(Peer(("127.0.0.1", 1), ("127.0.0.1", 2))).read(cut)
        except ValueError:
            continue
        if request.host is None:
            continue  # none or two: a page answers, and no service sees it
        judge = h11.Connection(h11.SERVER)
        judge.receive_data(cut)
        event = judge.next_event()
        assert isinstance(event, h11.Request), event
        assert (request.method, request.target, request.version) == (
            event.method,
            event.target,
            b"HTTP/" + event.http_version,
        )
        ours = [(name, value.strip(b" \t")) for name, value in request.fields]
        assert ours == [tuple(field) for field in event.headers.raw_items()]
        framing = {name for name, _ in event.headers}
        assert (request.length == CHUNKED) == (b"transfer-encoding" in framing)
        if b"content-length" in framing:
            assert request.length == int(dict(iter(event.headers))[b"content-length"])


@settings(max_examples=800, deadline=None)
@given(lumps)
def test_an_answers_head_is_read_as_h11_reads_it_or_refused(fields):
    head = b"HTTP/1.1 200 OK\r\n" + fields.replace(END, b"") + END
    cut = head[: head.index(END) + len(END)]
    try:
        response = ResponseReader(local=True).read(cut, b"GET")
    except ValueError:
        return
    judge = h11.Connection(h11.CLIENT)
    judge.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    judge.receive_data(cut)
    event = judge.next_event()
    assert isinstance(event, h11.Response), event
    assert (response.status, response.reason) == (event.status_code, event.reason)
    framing = dict(iter(event.headers))
    assert (response.length == CHUNKED) == (b"transfer-encoding" in framing)
    if b"content-length" in framing:
        assert response.length == int(framing[b"content-length"])


def judged(body):
    """What h11 makes of a chunked body: its content, its trailers, and what is left; None for a wrong one."""
    judge = h11.Connection(h11.SERVER)
    judge.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    judge.next_event()
    content = b""
    try:
        while True:
            event = judge.next_event()
            if isinstance(event, h11.Data):
                content += event.data
            elif isinstance(event, h11.EndOfMessage):
                return content, [tuple(field) for field in event.headers.raw_items()], judge.trailing_data[0]
            else:
                return content, None, b""
    except h11.RemoteProtocolError:
        return None


@pytest.mark.newest  # a pure function, against a pure function
@settings(max_examples=1500, deadline=None)
@given(lumps)
def test_chunks_are_read_as_h11_reads_them_or_refused(data):
    for body in (data, b"5\r\nhello\r\n" + data, b"1\r\na\r\n0\r\n" + data + END, b"0;" + data + END):
        chunks, pieces = Chunks(), []
        try:
            end = chunks.read(body, pieces)
        except ValueError:
            continue
        verdict = judged(body)
        if verdict is None:
            # h11 gives up where a line grows long or a trailer's rule is its own; what we pass on is still well-formed
            assert not chunks.ended
            continue
        content, trailers, rest = verdict
        assert b"".join(pieces) == content
        assert chunks.ended == (trailers is not None)
        if chunks.ended:
            assert (chunks.trailers, body[end:]) == (trailers, rest)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.integers(min_value=1, max_value=9))
def test_a_body_is_the_same_in_pieces_of_any_size(parts, size):
    trailers = [(b"X-Sum", b"1")]
    body = b"".join(map(chunk, parts)) + last_chunk(trailers)
    behind = b"GET / HTTP/1.1\r\n"
    chunks, pieces, used = Chunks(), [], 0
    for at in range(0, len(body + behind), size):
        if not chunks.ended:
            used += chunks.read((body + behind)[at : at + size], pieces)
    assert (b"".join(pieces), chunks.trailers, used) == (b"".join(parts), trailers, len(body))


SEEDS = [
    b"GET /%d HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /%d HTTP/1.1\r\n" + HOST + b"Connection: keep-alive\r\nAccept: */*\r\n\r\n",
    b"POST /%d HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
    b"POST /%d HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
    b"POST /%d HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"PUT /%d HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
    b"GET /%d HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"GET http://shop.localhost/%d HTTP/1.1\r\n" + HOST + b"\r\n",
    b"HEAD /%d HTTP/1.0\r\n" + HOST + b"\r\n",
]


def mutated(chance):
    """Some requests in a row, with some of their bytes changed."""
    data = bytearray(b"".join(chance.choice(SEEDS) % number for number in range(chance.randint(1, 3))))
    for _ in range(chance.randint(0, 4)):
        at = chance.randrange(len(data) + 1)
        action = chance.randrange(4)
        if action == 0:
            data[at : at + chance.randint(1, 4)] = b""
        elif action == 1:
            data[at:at] = chance.choice(WORDS)
        elif action == 2:
            data[at : at + 1] = bytes([chance.randrange(256)])
        else:
            start = chance.randrange(len(data) + 1)
            data[at:at] = data[start : start + chance.randint(1, 30)]
    return bytes(data)


class Judge:
    """Serves as h11 says, and keeps what h11 takes offence at."""

    def __init__(self):
        self.offences = []

    def __call__(self, wire):
        while True:
            judge = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 17)
            if not self._one(wire, judge):
                return

    def _one(self, wire, judge):
        data, ended = b"", False
        try:
            while not ended:
                received, wire.rest = wire.rest or wire.socket.recv(65536), b""
                data += received
                judge.receive_data(received.translate(ASCII))
                if not received:
                    return False  # broken off: what was complete of it was well-formed
                while (event := judge.next_event()) is not h11.NEED_DATA:
                    if isinstance(event, h11.EndOfMessage):
                        ended = True
                        break
        except h11.RemoteProtocolError as error:
            if "incomplete" not in str(error) and "peer unexpectedly closed" not in str(error):
                self.offences.append((str(error), data))
            return False
        wire.rest = judge.trailing_data[0]
        if wire.rest:
            self.offences.append(("two requests at once on one connection", data))
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return True


def test_no_service_ever_sees_what_could_be_read_in_two_ways(world):
    judge = Judge()
    shop = RawOrigin(judge)
    world.tell(service("shop", port=shop.port))
    seed = int(os.environ.get("STORES_FUZZ_SEED", random.SystemRandom().randrange(1 << 30)))
    chance = random.Random(seed)
    end, number = time.monotonic() + SECONDS, 0
    try:
        while time.monotonic() < end and not judge.offences:
            number += 1
            data = mutated(chance)
            with Client(world) as client:
                at = chance.randrange(len(data) + 1)
                with suppress(OSError):
                    client.send(data[:at])
                    client.send(data[at:])
                    client.socket.shutdown(socket.SHUT_WR)
                    client.read_to_end()
        assert judge.offences == [], f"STORES_FUZZ_SEED={seed}, request {number}"
        assert number > 20 * SECONDS
        assert world.process.poll() is None
        with Client(world) as client:
            client.ask()
            assert client.answer()[0].startswith(b"HTTP/1.1 200 ")
        assert "Traceback" not in world.stderr()
    finally:
        shop.close()
