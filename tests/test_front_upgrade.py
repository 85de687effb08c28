"""Connections that change their protocol: WebSocket and others, through the front and through mitmproxy."""

import asyncio
import socket
import threading
from contextlib import suppress

import pytest
import websockets
from front_client import Client, client_by, field, raw_shop, status
from gateway_world import one_world, service
from raw_origin import PATIENCE
from websocket_origin import chatting
from websockets.sync.client import connect

world = pytest.fixture(scope="module")(one_world)
shop = pytest.fixture(raw_shop)
client = pytest.fixture(params=["http", "https"])(client_by)

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: parrot\r\nX-More: 1\r\n\r\n"


def parrot(wire):
    wire.read_head()
    wire.send(SWITCH)
    with suppress(EOFError):
        while True:
            wire.send(wire.read(1).upper())


def upgrade(client, *early):
    client.ask(b"/", b"Connection: keep-alive, Upgrade", b"Upgrade: parrot", body=b"".join(early))


def test_the_switch_is_passed_on_and_then_every_byte(client, shop):
    shop.serve = parrot
    upgrade(client)
    head = client.read_until(b"\r\n\r\n")
    assert status(head) == 101
    assert [field(head, name) for name in (b"connection", b"upgrade", b"x-more", b"x-stores-route")] == [
        [b"Upgrade"],
        [b"parrot"],
        [b"1"],
        [b"local"],
    ]
    asked = shop.head()
    assert (field(asked, b"connection"), field(asked, b"upgrade")) == ([b"Upgrade"], [b"parrot"])
    for word in (b"polly", b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100_000):
        client.send(word)
        assert client.read(len(word)) == word.upper()


def test_what_a_client_says_before_the_switch_arrives_after_it(client, shop):
    go = threading.Event()

    def serve(wire):
        wire.read_head()
        go.wait(PATIENCE)
        assert wire.rest == b""
        wire.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            wire.socket.recv(1)
        wire.socket.settimeout(PATIENCE)
        wire.send(SWITCH, b"first")
        wire.send(wire.read(5).upper())

    shop.serve = serve
    upgrade(client, b"early")
    shop.head()
    go.set()
    client.read_until(b"\r\n\r\n")
    assert client.read(10) == b"firstEARLY"


def test_a_service_that_does_not_switch_goes_on_with_http(client, shop):
    for target in (b"/1", b"/2"):
        client.ask(target, b"Connection: Upgrade", b"Upgrade: parrot")
        head, body = client.answer()
        assert (status(head), body) == (200, target)
    assert shop.connections == 1


def test_a_body_and_another_protocol_do_not_go_together(client, shop):
    def serve(wire):
        assert field(wire.read_head(), b"upgrade") == []
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", wire.read(3))

    shop.serve = serve
    client.ask(b"/", b"Connection: Upgrade", b"Upgrade: parrot", b"Content-Length: 3", method=b"POST", body=b"abc")
    assert client.answer()[1] == b"abc"


def test_either_side_may_stop_sending_first(world, shop):
    """Half of a connection may be closed while the other half goes on."""

    def serve(wire):
        wire.read_head()
        wire.send(SWITCH)
        got = wire.read_to_end()
        wire.send(b"after your end: ", got)

    shop.serve = serve
    with Client(world) as client:
        upgrade(client)
        client.read_until(b"\r\n\r\n")
        client.send(b"polly")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.read_to_end() == b"after your end: polly"
    assert shop.gone.get(timeout=PATIENCE)


def test_a_service_may_stop_sending_and_still_listen(world, shop):
    got = []

    def serve(wire):
        wire.read_head()
        wire.send(SWITCH, b"my end")
        wire.socket.shutdown(socket.SHUT_WR)
        got.append(wire.read_to_end())

    shop.serve = serve
    with Client(world) as client:
        upgrade(client)
        client.read_until(b"\r\n\r\n")
        assert client.read_to_end() == b"my end"
        client.send(b"polly")
        client.socket.shutdown(socket.SHUT_WR)
        assert shop.gone.get(timeout=PATIENCE)
    assert got == [b"polly"]


def test_a_client_that_is_gone_ends_the_services_connection(client, shop):
    shop.serve = parrot
    upgrade(client)
    client.read_until(b"\r\n\r\n")
    client.socket.close()
    assert shop.gone.get(timeout=PATIENCE)


def test_a_service_that_is_gone_ends_the_clients_connection(client, shop):
    def serve(wire):
        wire.read_head()
        wire.send(SWITCH, b"bye")

    shop.serve = serve
    upgrade(client)
    client.read_until(b"\r\n\r\n")
    assert client.read_to_end() == b"bye"


def test_a_reader_that_stalls_holds_the_other_side_and_loses_nothing(client, shop):
    size = 20 * 1024 * 1024
    sent = [0]

    def serve(wire):
        wire.read_head()
        wire.send(SWITCH)
        for _ in range(20):
            wire.send(b"x" * (size // 20))
            sent[0] += size // 20
        wire.read_to_end()

    shop.serve = serve
    upgrade(client)
    client.read_until(b"\r\n\r\n")
    assert len(client.read(size)) == size


async def _echo(connection):
    async for message in connection:
        await connection.send(message)
        if message == "close":
            await connection.close(4321, "enough")


@pytest.fixture(scope="module")
def chat(world):
    with chatting(world.stage, _echo) as port:
        yield port


def websocket(world, scheme, **options):
    port, context = (world.http, None) if scheme == "ws" else (world.https, world.client_context())
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
    return connect(f"{scheme}://chat.localhost:{port}/", sock=plain, ssl=context, max_size=None, **options)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_pings_close_codes_and_compression_pass(world, chat, scheme):
    world.tell(service("chat", port=chat))
    with websocket(world, scheme) as client:
        assert "permessage-deflate" in client.response.headers["Sec-WebSocket-Extensions"]
        assert client.ping().wait(PATIENCE)
        client.send("close")
        assert client.recv() == "close"
        with pytest.raises(websockets.ConnectionClosed):
            client.recv()
        assert (client.close_code, client.close_reason) == (4321, "enough")


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_large_message_passes_in_both_directions(world, chat, scheme):
    world.tell(service("chat", port=chat))
    with websocket(world, scheme, compression=None) as client:
        message = bytes(range(256)) * 40_000
        client.send(message)
        assert client.recv() == message


def test_fifty_sockets_under_load_get_their_own_messages(world, chat):
    world.tell(service("chat", port=chat))

    async def one(number):
        uri = f"ws://chat.localhost:{world.http}/"
        async with websockets.connect(uri, host="127.0.0.1", port=world.http, proxy=None) as client:
            for message in (f"{number}-{turn}" for turn in range(40)):
                await client.send(message)
                assert await client.recv() == message

    async def all_of_them():
        await asyncio.gather(*(one(number) for number in range(50)))

    world.stage.do(all_of_them())
