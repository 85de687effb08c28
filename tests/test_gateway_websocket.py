"""WebSockets, through to services and to the remote."""

import asyncio
import ssl
from dataclasses import replace

import pytest
import websockets
from gateway_world import REMOTE_DOMAIN, one_world, service
from stage import free_port
from websocket_origin import chatting
from websockets.sync.client import connect

from procman.state import State

world = pytest.fixture(scope="module")(one_world)


async def _echo(connection):
    await connection.send(
        f"host {connection.request.headers['Host']} origin {connection.request.headers.get('Origin')}"
    )
    async for message in connection:
        await connection.send(message)


@pytest.fixture(scope="module")
def chat(world):
    with chatting(world.stage, _echo) as port:
        yield port


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_messages_pass_both_ways(world, chat, scheme):
    world.tell(service("chat", port=chat))
    port, context = (world.http, None) if scheme == "ws" else (world.https, world.client_context())
    url, plain = f"{scheme}://chat.localhost:{port}/", world.socket("http", port=port)
    with plain, connect(url, sock=plain, ssl=context, max_size=None) as client:
        assert client.response.status_code == 101
        assert client.response.headers["X-Stores-Route"] == "local"
        assert client.recv() == f"host chat.localhost:{port} origin None"
        for message in ("text", b"bytes", "x" * 1_000_000):
            client.send(message)
            assert client.recv() == message


def test_a_remote_is_reached_by_its_own_name_and_origin(world):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    world.remote_ca.issue_cert(f"*.{REMOTE_DOMAIN}").configure_cert(context)
    with chatting(world.stage, _echo, ssl=context) as port, world.socket("http") as plain:
        remote = world.first.remote.__class__(REMOTE_DOMAIN, (f"::127.0.0.1:{port}",), world.first.remote.ca)
        world.tell(service("chat"), remote=remote)
        origin = f"http://chat.localhost:{world.http}"
        with connect(f"ws://chat.localhost:{world.http}/", sock=plain, origin=origin) as client:
            assert client.response.headers["X-Stores-Route"] == "remote"
            assert client.recv() == f"host chat.{REMOTE_DOMAIN} origin https://chat.{REMOTE_DOMAIN}"
    world.tell(remote=world.first.remote)


def test_a_programs_handshake_that_cannot_be_served_gets_the_status_and_plain_text(world):
    world.tell(service("chat", state=State.STOPPED, remote=None))
    with world.socket("http") as plain, pytest.raises(websockets.InvalidStatus) as refused:
        connect(f"ws://chat.localhost:{world.http}/", sock=plain)
    answer = refused.value.response
    assert (answer.status_code, answer.headers["X-Stores-Route"]) == (503, "fallback")
    assert b"chat is not running" in answer.body
    assert b"stores start chat" in answer.body


def closed(world, host="chat", **more):
    """How a browser's WebSocket ends, to which nobody answers."""
    origin = f"http://{host}.localhost:{world.http}"
    with world.socket("http") as plain:
        with connect(f"ws://{host}.localhost:{world.http}/", sock=plain, origin=origin, **more) as client:
            assert client.response.headers["X-Stores-Route"] == "fallback"
            with pytest.raises(websockets.ConnectionClosed):
                client.recv(20)
        return client


def test_a_browsers_socket_is_closed_with_the_reason_which_a_refusal_would_keep_from_it(world):
    world.tell(service("chat", state=State.STOPPED, remote=None), service("gone", port=free_port(), remote=None))
    client = closed(world, subprotocols=["vite-hmr", "other"])
    assert (client.close_code, client.close_reason) == (1013, "chat is not running: stores start chat")
    assert client.subprotocol == "vite-hmr"
    client = closed(world, "gone")
    assert (client.close_code, "gone" in client.close_reason) == (1014, True)
    client = closed(world, "unknown")
    assert (client.close_code, "unknown" in client.close_reason) == (1008, True)
    world.tell(service("chat", remote=f"https://chat.prod.{REMOTE_DOMAIN}"), remote=prod(world))
    client = closed(world, additional_headers={"Accept-Language": "ja"})
    assert client.close_code == 1008
    assert "chat" in client.close_reason
    assert len(client.close_reason.encode()) <= 123
    world.tell(remote=world.first.remote)


def prod(world):
    return replace(world.first.remote, forbid=("*.prod.*",))


def test_a_browsers_socket_over_tls_is_closed_with_the_reason_too(world):
    world.tell(service("chat", state=State.STOPPED, remote=None))
    name = "chat.local.example.com"
    context, plain = world.client_context(), world.socket("http", port=world.https)
    with plain, connect(f"wss://{name}:{world.https}/", sock=plain, ssl=context, origin=f"https://{name}") as client:
        with pytest.raises(websockets.ConnectionClosed):
            client.recv(20)
        assert client.close_code == 1013


def test_a_socket_that_the_client_closes_is_closed_at_the_service(world, chat):
    world.tell(service("chat", port=chat))
    with world.socket("http") as plain, connect(f"ws://chat.localhost:{world.http}/", sock=plain) as client:
        client.recv()
        client.close(4321, "enough")
        assert client.close_code == 4321


def test_another_protocol_is_switched_to_as_well(world):
    async def switch(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: parrot\r\n\r\n")
        while data := await reader.read(100):
            writer.write(data.upper())
        writer.close()

    async def start():
        return await asyncio.start_server(switch, "127.0.0.1", 0)

    server = world.stage.do(start())
    world.tell(service("parrot", port=server.sockets[0].getsockname()[1]))
    with world.socket() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: parrot.localhost\r\nConnection: Upgrade\r\nUpgrade: parrot\r\n\r\n")
        head = client.recv(1000)
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"X-Stores-Route: local\r\n" in head
        client.sendall(b"polly")
        assert client.recv(100) == b"POLLY"

    async def stop():
        server.close()

    world.stage.do(stop())
