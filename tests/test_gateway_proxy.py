"""The gateway as a proxy, for services on machines whose DNS does not know the domain."""

import socket
import ssl
import struct
import threading

import h2.config
import h2.connection
import h2.events
import pytest
from gateway_world import one_world, service
from stage import PATIENCE, free_port

world = pytest.fixture(scope="module")(one_world)


@pytest.fixture
def shop(world):
    shop = world.origin()
    world.tell(service("netshop", port=shop.port), service("register", remote=None))
    return shop


def proxy(world):
    return f"http://127.0.0.1:{world.http}"


def connect(world, target):
    """The answer to CONNECT, and the socket behind it."""
    client = world.socket()
    client.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        chunk = client.recv(1)
        assert chunk, answer
        answer += chunk
    return client, answer.decode()


def test_a_whole_url_of_ours_is_routed_like_any_other(world, shop):
    out = world.curl("-i", "-x", proxy(world), "http://netshop.local.example.com/cart")
    assert "X-Stores-Route: local" in out
    seen = shop.last()
    assert (seen.target, seen["Host"]) == ("/cart", "netshop.local.example.com")
    assert seen["X-Forwarded-Port"] == "80"


def test_the_url_counts_and_not_the_host_header(world, shop):
    raw = world.raw(b"GET http://netshop.localhost/ HTTP/1.1\r\nHost: register.localhost\r\nConnection: close\r\n\r\n")
    assert raw.startswith(b"HTTP/1.1 200 ")
    assert shop.last()["Host"] == "netshop.localhost"


def test_a_page_answers_a_whole_url_as_well(world, shop):
    out = world.curl("-i", "-x", proxy(world), "http://register.local.example.com/")
    assert out.startswith("HTTP/1.1 503")


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_secure_host_of_ours_is_served_with_our_certificate(world, shop, version):
    out = world.curl("-i", version, "-x", proxy(world), "https://netshop.local.example.com/cart")
    assert "x-stores-route: local" in out.lower()
    seen = shop.last()
    assert (seen["Host"], seen["X-Forwarded-Proto"], seen["X-Forwarded-Port"]) == (
        "netshop.local.example.com",
        "https",
        "443",
    )


def test_the_gateways_own_https_port_is_served_as_well(world, shop):
    out = world.curl("-i", "-x", proxy(world), f"https://netshop.local.example.com:{world.https}/")
    assert "x-stores-route: local" in out.lower()


def test_plain_http_through_connect_is_served_as_well(world, shop):
    """How some clients reach ws:// through a proxy."""
    out = world.curl("-i", "-p", "-x", proxy(world), "http://netshop.local.example.com/")
    assert "X-Stores-Route: local" in out


def test_a_remote_answers_through_connect_as_well(world):
    world.tell(service("account"))
    out = world.curl("-i", "-x", proxy(world), "https://account.local.example.com/")
    assert "x-stores-route: remote" in out.lower()


def test_a_strangers_plain_url_is_passed_on_untouched(world, shop):
    stranger = world.origin()
    out = world.curl("-i", "-x", proxy(world), f"http://127.0.0.1:{stranger.port}/path?q=1")
    assert out.startswith("HTTP/1.1 200")
    assert "x-stores-route" not in out.lower()
    seen = stranger.last()
    assert (seen.target, seen["Host"]) == ("/path?q=1", f"127.0.0.1:{stranger.port}")
    sent = {name.lower() for name, _ in seen.headers}
    assert not sent & {"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "stores-hops", "via"}


def test_a_stranger_that_does_not_answer_gets_no_page_of_ours(world, shop):
    out = world.curl("-i", "-x", proxy(world), f"http://127.0.0.1:{free_port()}/")
    assert out.startswith("HTTP/1.1 502")
    assert "x-stores-route" not in out.lower()


def test_a_strangers_tunnel_is_blind(world, tmp_path, shop):
    """It presents its own certificate: ours is nowhere to be seen, and the bytes are the same."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    world.remote_ca.issue_cert("127.0.0.1").configure_cert(context)
    stranger = world.origin(context=context)
    client, answer = connect(world, f"127.0.0.1:{stranger.port}")
    assert answer.startswith("HTTP/1.1 200 ")
    assert "x-stores-route" not in answer.lower()
    trust = ssl.create_default_context()
    world.remote_ca.configure_trust(trust)
    with trust.wrap_socket(client, server_hostname="127.0.0.1") as secure:
        secure.sendall(b"GET /inside HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert secure.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert stranger.last().target == "/inside"


def test_a_tunnel_carries_what_is_no_http_and_the_server_may_speak_first(world, shop):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"220 ready\r\n")
                peer.sendall(peer.recv(100)[::-1])

        thread = threading.Thread(target=serve)
        thread.start()
        client, _ = connect(world, f"127.0.0.1:{server.getsockname()[1]}")
        with client:
            assert client.recv(100) == b"220 ready\r\n"
            client.sendall(b"abc")
            assert client.recv(100) == b"cba"
        thread.join(PATIENCE)


def test_a_tunnel_that_cannot_be_made_is_502(world, shop):
    client, answer = connect(world, f"127.0.0.1:{free_port()}")
    client.close()
    assert answer.startswith("HTTP/1.1 502 ")


def test_a_host_of_ours_with_another_port_is_that_program_on_this_machine(world, shop):
    client, answer = connect(world, f"netshop.local.example.com:{shop.port}")
    with client:
        assert answer.startswith("HTTP/1.1 200 ")
        client.sendall(b"GET /direct HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert shop.last().all("Stores-Hops") == []


def test_the_gateway_as_its_own_proxy_comes_to_an_end(world, shop):
    """By another name of this machine, once through CONNECT and once by URL."""
    for _ in range(3):
        client, answer = connect(world, f"127.0.0.2:{world.http}")
        if answer.startswith("HTTP/1.1 200 "):
            client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.2\r\nConnection: close\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 421 ")
        client.close()
    raw = world.raw(f"GET http://127.0.0.1:{world.http}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert raw.startswith(b"HTTP/1.1 404 ")
    raw = world.raw(f"GET http://[::1]:{world.http}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert raw.startswith(b"HTTP/1.1 404 ")


def test_a_malformed_connect_over_http2_is_reset_and_goes_nowhere(world, shop):
    """RFC 9113, section 8.5: it has an :authority, and neither :scheme nor :path."""
    peer = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    peer.initiate_connection()
    target = (":authority", "127.0.0.1:1")
    peer.send_headers(1, [(":method", "CONNECT"), (":scheme", "https"), (":path", "/"), target], end_stream=False)
    seen = []
    with world.socket("https", "netshop.localhost", alpn=("h2",)) as client:
        client.sendall(peer.data_to_send())
        while not any(isinstance(event, h2.events.StreamReset) for event in seen):
            seen += peer.receive_data(client.recv(65536))
    assert not any(isinstance(event, h2.events.ResponseReceived) for event in seen)
    assert world.get("netshop.localhost").status == 200


def test_a_client_that_leaves_a_tunnel_closes_it(world, shop):
    client, _ = connect(world, f"127.0.0.1:{shop.port}")
    client.sendall(b"GET /silent HTTP/1.1\r\nHost: x\r\n\r\n")
    shop.last()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert shop.gone.get(timeout=PATIENCE)
