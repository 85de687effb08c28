"""HTTP/2 through a real gateway to real services, with the clients that people have: curl, nghttp, h2load, ``h2``."""

import json
import re
import shutil
import subprocess
import time

import h2.connection
import h2.events
import pytest
from gateway_world import World, service
from h2.config import H2Configuration
from h2_stage import Peer, data, get, headers
from raw_origin import RawOrigin
from stage import eventually
from websockets.asyncio.server import serve
from websockets.frames import Frame, Opcode

from proxy_addons.front import h2_frame as wire
from proxy_addons.front.h2_error import ErrorCode as E

MEGABYTES = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORES_FRONT", "1")
        world = World(tmp_path_factory.mktemp("gateway"))
    try:
        yield world
    finally:
        world.close()


@pytest.fixture(scope="module")
def origin(world):
    origin = world.origin()
    world.tell(service("netshop", port=origin.port), service("reserve"))
    return origin


@pytest.fixture
def peer(world, origin):
    with Peer(world.https, world.client_context(("h2",))) as peer:
        yield peer


@pytest.fixture
def url(world):
    return f"https://netshop.localhost:{world.https}"


def asking(path, *fields, method=b"GET"):
    return [(b":method", method), *get(path)[1:3], (b":authority", b"netshop.localhost"), *fields]


def seen(origin, target):
    """The request with that target; those before it are forgotten."""
    while (request := origin.last()).target != target:
        pass
    return request


class Client:
    """The ``h2`` package on a socket: a client that keeps the rules, and sees whether the server does."""

    def __init__(self, world):
        self.socket = world.socket("https", alpn=("h2",))
        self.h2 = h2.connection.H2Connection(H2Configuration(client_side=True, header_encoding="latin-1"))
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def ask(self, path, *fields, method="GET", end=True):
        stream_id = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "https"), (":path", path), (":authority", "netshop.localhost")]
        self.h2.send_headers(stream_id, [*head, *fields], end_stream=end)
        self.flush()
        return stream_id

    def until(self, kind):
        """Events up to the first of that kind."""
        events = []
        while not any(isinstance(event, kind) for event in events):
            received = self.socket.recv(65536)
            assert received, events
            for event in self.h2.receive_data(received):
                events.append(event)
                if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.flush()
        return events

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


def test_curl_speaks_it_and_a_service_sees_http_1(world, origin, url):
    told = world.curl("--http2", "-w", "%{http_version} %{http_code}", f"{url}/some?thing")
    assert told == json.dumps({"target": "/some?thing", "port": origin.port, "length": 0}) + "2 200"
    request = seen(origin, "/some?thing")
    assert request.version == "HTTP/1.1"
    assert request["host"] == f"netshop.localhost:{world.https}"
    assert request["x-forwarded-proto"] == "https"
    assert request["x-forwarded-for"] == "127.0.0.1"


def test_a_large_body_goes_up_and_down(world, origin, url, tmp_path):
    file = tmp_path / "body"
    file.write_bytes(b"x" * MEGABYTES)
    told = world.curl("--http2", "-T", str(file), "-X", "POST", f"{url}/swallow", "-o", "-")
    assert told == str(MEGABYTES)
    world.curl("--http2", f"{url}/large?{MEGABYTES}", "-o", str(file))
    assert file.stat().st_size == MEGABYTES


def test_a_page_of_many_files_comes_on_one_connection(world, origin):
    urls = [f"https://127.0.0.1:{world.https}/file{number}" for number in range(200)]
    command = ["nghttp", "-v", "-n", "-H:authority: netshop.localhost", *urls]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert len(re.findall(r":status: 200", told)) == 200
    assert "negotiated protocol: h2" in told


def test_a_load_of_requests_is_answered_without_an_error(world, origin, url):
    before = origin.connections
    command = ["h2load", "-n", "3000", "-c", "2", "-m", "50", f"--connect-to=127.0.0.1:{world.https}", f"{url}/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "3000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout
    assert origin.connections - before <= 100  # as many as requests at once: they are used again


def test_server_sent_events_come_one_by_one(world, origin):
    origin.release.clear()
    with Client(world) as client:
        client.ask("/events")
        first = of(client.until(h2.events.DataReceived), h2.events.DataReceived)
        assert first[0].data == b"data: first\n\n  "
        origin.release.set()
        rest = client.until(h2.events.StreamEnded)
        assert b"".join(event.data for event in of(rest, h2.events.DataReceived)) == b"data: second\n\n  "


def test_early_hints_come_early(world, origin):
    with Client(world) as client:
        client.ask("/hints")
        events = client.until(h2.events.StreamEnded)
    hints = of(events, h2.events.InformationalResponseReceived)
    assert hints[0].headers == [(":status", "103"), ("link", "</style.css>; rel=preload")]
    assert of(events, h2.events.DataReceived)[0].data == b"after the hints"


def test_trailers_go_both_ways(world, origin):
    with Client(world) as client:
        stream_id = client.ask("/trailers", ("te", "trailers"), method="POST", end=False)
        client.h2.send_data(stream_id, b"body")
        client.h2.send_headers(stream_id, [("checksum", "7")], end_stream=True)
        client.flush()
        events = client.until(h2.events.StreamEnded)
    assert of(events, h2.events.TrailersReceived)[0].headers == [("x-sum", "42")]
    request = seen(origin, "/trailers")
    assert (request.body, request["trailer-field"]) == (b"body", "checksum: 7")


def test_expect_is_answered_by_the_service(world, origin):
    with Client(world) as client:
        stream_id = client.ask("/expect", ("expect", "100-continue"), method="POST", end=False)
        events = client.until(h2.events.InformationalResponseReceived)
        assert of(events, h2.events.InformationalResponseReceived)[0].headers == [(":status", "100")]
        client.h2.send_data(stream_id, b"now", end_stream=True)
        client.flush()
        assert of(client.until(h2.events.StreamEnded), h2.events.DataReceived)[0].data == b"now"


def test_head_has_a_length_and_no_body(world, origin):
    with Client(world) as client:
        client.ask("/", method="HEAD")
        events = client.until(h2.events.StreamEnded)
    head = dict(of(events, h2.events.ResponseReceived)[0].headers)
    assert int(head["content-length"]) > 0
    assert head["x-stores-route"] == "local"
    assert not of(events, h2.events.DataReceived)


def test_a_client_that_gives_up_is_heard_by_the_service_at_once(peer, origin):
    while not origin.gone.empty():
        origin.gone.get()
    peer.send(headers(1, asking(b"/silent")))
    seen(origin, "/silent")
    begin = time.monotonic()
    peer.send(wire.rst_stream(1, E.CANCEL))
    origin.gone.get(timeout=10)
    assert time.monotonic() - begin < 0.5  # 3 ms on a quiet machine
    peer.send(headers(3, asking(b"/")))
    assert peer.answer(3)[0] == 200


def test_a_service_that_breaks_off_ends_its_stream_only(peer, origin):
    peer.send(headers(1, asking(b"/hang-up-midway")))
    frames = peer.until(lambda kind, *_: kind == wire.RST_STREAM)
    assert wire.word(frames[-1][3]) == E.INTERNAL_ERROR
    peer.send(headers(3, asking(b"/")))
    assert peer.answer(3)[0] == 200


def test_a_status_that_is_none_ends_no_other_stream(world, origin):
    def serve(wire):
        line = b"HTTP/1.1 099 Early" if b"/odd" in wire.read_head() else b"HTTP/1.1 200 OK"
        wire.send(line + b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    odd = RawOrigin(serve)
    others = (service("netshop", port=origin.port), service("reserve"))
    world.tell(service("odd", port=odd.port), *others)
    try:
        with Peer(world.https, world.client_context(("h2",))) as peer:
            for stream_id, path, expected in ((1, b"/odd", 502), (3, b"/", 200)):
                peer.send(headers(stream_id, [*get(path)[:3], (b":authority", b"odd.localhost")]))
                assert peer.answer(stream_id)[0] == expected
    finally:
        odd.close()
        world.tell(*others)


def test_what_cannot_be_said_in_http_1_never_reaches_a_service(peer, origin):
    for stream_id, path in enumerate((b"/a b", b"/a\r\nx: y", b"/a HTTP/1.1\r\n\r\nGET /b"), start=1):
        peer.send(headers(2 * stream_id - 1, asking(path)))
    peer.send(headers(7, asking(b"/", (b"x", b"a\r\n\r\nGET /smuggled HTTP/1.1"))))
    peer.send(headers(9, asking(b"/", (b"transfer-encoding", b"chunked"))))
    peer.send(headers(11, asking(b"/proper")))
    frames = peer.until(lambda kind, flags, stream, _: (kind, stream) == (wire.HEADERS, 11))
    assert [stream for kind, _, stream, _ in frames if kind == wire.RST_STREAM] == [1, 3, 5, 7, 9]
    seen = []
    while not seen or seen[-1] != "/proper":
        seen.append(origin.last().target)
    assert not [target for target in seen if target.startswith("/a") or "smuggled" in target]


@pytest.mark.parametrize(
    ("host", "status", "route"),
    [(b"nobody.localhost", 404, b"fallback"), (b"reserve.localhost", 200, b"remote")],
)
def test_what_is_not_local_is_answered_too(world, peer, origin, host, status, route):
    peer.send(headers(1, [*get(b"/some")[:3], (b":authority", host + b":%d" % world.https)]))
    got, fields, body, _ = peer.answer(1)
    assert (got, dict(fields)[b"x-stores-route"]) == (status, route)
    assert body


def test_a_body_goes_to_a_remote(world, peer, origin):
    fields = [(b":method", b"POST"), *get(b"/swallow")[1:3], (b":authority", b"reserve.localhost:%d" % world.https)]
    peer.send(headers(1, [*fields, (b"content-length", b"200000")], wire.END_HEADERS))
    for part in range(20):
        peer.send(data(1, b"x" * 10_000, part == 19))
    assert peer.answer(1)[::2] == (200, b"200000")


def test_slow_streams_do_not_hold_fast_ones(world, peer, origin):
    peer.send(wire.settings({4: 100_000}), wire.window_update(0, 2**30))
    for stream_id in range(1, 21, 2):
        peer.send(headers(stream_id, asking(b"/large?%d" % MEGABYTES)))  # ten that nobody reads
    for stream_id in range(21, 121, 2):
        peer.send(headers(stream_id, asking(b"/large?50000")))
        assert len(peer.answer(stream_id)[2]) == 50_000


@pytest.fixture(scope="module")
def chat(world, origin):
    async def echo(connection):
        async for message in connection:
            await connection.send(message)

    async def start():
        return await serve(echo, "127.0.0.1", 0, subprotocols=["vite-hmr"], compression=None)

    server = world.stage.do(start())
    port = next(iter(server.sockets)).getsockname()[1]
    world.tell(service("netshop", port=origin.port), service("reserve"), service("chat", port=port))
    yield port

    async def stop():
        server.close()
        await server.wait_closed()

    world.stage.do(stop())


def test_a_websocket_goes_over_a_stream(peer, chat):
    head = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"https"), (b":path", b"/x")]
    fields = [(b":authority", b"chat.localhost"), (b"sec-websocket-version", b"13"), (b"origin", b"https://a.test")]
    peer.send(headers(1, [*head, *fields, (b"sec-websocket-protocol", b"vite-hmr")], wire.END_HEADERS))
    frames = peer.until(lambda kind, *_: kind == wire.HEADERS)
    answer = dict(peer.fields(frames[-1][3]))
    assert (answer[b":status"], answer[b"sec-websocket-protocol"]) == (b"200", b"vite-hmr")
    assert not {b"upgrade", b"connection", b"sec-websocket-accept"} & set(answer)
    peer.send(data(1, Frame(Opcode.TEXT, b"hello").serialize(mask=True)))
    assert peer.until(lambda kind, *_: kind == wire.DATA)[-1][3] == Frame(Opcode.TEXT, b"hello").serialize(mask=False)
    peer.send(data(1, Frame(Opcode.PING, b"?").serialize(mask=True)))
    assert peer.until(lambda kind, *_: kind == wire.DATA)[-1][3] == Frame(Opcode.PONG, b"?").serialize(mask=False)
    goodbye = Frame(Opcode.CLOSE, (4000).to_bytes(2, "big"))
    peer.send(data(1, goodbye.serialize(mask=True)))
    frames = peer.until(lambda kind, flags, *_: (kind == wire.DATA and flags & 1) or kind == wire.RST_STREAM)
    assert goodbye.serialize(mask=False) in [frame[3] for frame in frames]
    peer.send(data(1, b"", wire.END_STREAM), headers(3, asking(b"/")))
    assert peer.answer(3)[0] == 200


def test_a_thousand_messages_pass_a_websocket_over_a_stream(peer, chat):
    head = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"https"), (b":path", b"/x")]
    fields = [*head, (b":authority", b"chat.localhost"), (b"sec-websocket-version", b"13")]
    fields.append((b"sec-websocket-protocol", b"vite-hmr"))
    peer.send(wire.window_update(0, 2**24), headers(1, fields, wire.END_HEADERS), wire.window_update(1, 2**24))
    message = Frame(Opcode.BINARY, b"m" * 1000)
    back = message.serialize(mask=False)
    for _ in range(10):
        peer.send(*[data(1, message.serialize(mask=True)) for _ in range(100)])
        echoed = b""
        while len(echoed) < 100 * len(back):
            kind, _, _, payload = peer.frame()
            echoed += payload if kind == wire.DATA else b""
        assert echoed == back * 100


def test_a_websocket_of_a_remote_is_answered(world, peer, origin):
    head = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"https"), (b":path", b"/x")]
    peer.send(headers(1, [*head, (b":authority", b"reserve.localhost")], wire.END_HEADERS))
    assert peer.answer(1)[0] == 502  # the remote here speaks none, and answers 200


def test_a_browsers_websocket_over_a_stream_is_closed_with_the_reason(peer, chat):
    head = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"https"), (b":path", b"/x")]
    fields = [(b":authority", b"nobody.localhost"), (b"sec-websocket-version", b"13"), (b"origin", b"https://a.test")]
    peer.send(headers(1, [*head, *fields], wire.END_HEADERS))
    frames = peer.until(lambda kind, *_: kind == wire.HEADERS)
    assert dict(peer.fields(frames[-1][3]))[b":status"] == b"200"
    text = peer.until(lambda kind, *_: kind == wire.DATA)[-1][3]
    assert (text[0], int.from_bytes(text[2:4], "big")) == (0x88, 1008)
    assert b"nobody" in text
    goodbye = Frame(Opcode.CLOSE, text[2:4]).serialize(mask=True)
    peer.send(data(1, goodbye), headers(3, asking(b"/")))
    assert peer.answer(3)[0] == 200  # on the same connection


def test_a_restart_ends_connections_in_good_manners(tmp_path, monkeypatch):
    monkeypatch.setenv("STORES_FRONT", "1")
    world = World(tmp_path)
    try:
        origin = world.origin()
        world.tell(service("netshop", port=origin.port))
        origin.release.clear()
        with (
            Peer(world.https, world.client_context(("h2",))) as peer,
            Peer(world.https, world.client_context(("h2",))) as idle,
        ):
            idle.ping()
            peer.send(headers(1, asking(b"/events")))
            peer.until(lambda kind, *_: kind == wire.DATA)
            world.process.terminate()
            idle.until(lambda kind, *_: kind == wire.GOAWAY)
            origin.release.set()
            frames = peer.end()
            assert b"data: second\n\n  " in [payload for kind, _, _, payload in frames if kind == wire.DATA]
            assert wire.GOAWAY in [kind for kind, *_ in frames]
        eventually(lambda: world.process.poll() is not None)
        assert world.process.returncode == 0
    finally:
        world.close()


assert all(map(shutil.which, ("curl", "nghttp", "h2load"))), "apt install curl nghttp2-client"
