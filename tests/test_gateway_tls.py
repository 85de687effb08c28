"""TLS towards clients: our CA's leaves by name, at any depth, with HTTP/2."""

import ssl
from dataclasses import replace

import pytest
from gateway_world import World, one_world, service

world = pytest.fixture(scope="module")(one_world)


def certificate(world, host, alpn=("h2", "http/1.1")):
    with world.socket("https", host, alpn=alpn) as client:
        return client.getpeercert(), client.selected_alpn_protocol(), client.version()


@pytest.mark.parametrize("host", ["netshop.local.example.com", "a.b.c.netshop.local.example.com", "netshop.localhost"])
def test_a_name_of_any_depth_has_a_certificate_that_a_strict_client_takes(world, host):
    found, protocol, version = certificate(world, host)
    assert found["issuer"] != found["subject"]
    assert (protocol, version) == ("h2", "TLSv1.3")


def test_a_client_without_http2_gets_http1(world):
    assert certificate(world, "netshop.localhost", ("http/1.1",))[1] == "http/1.1"


def test_a_client_that_knows_neither_is_served_without_a_protocols_name(world):
    context = ssl.create_default_context(cafile=str(world.authority.ca_file))
    with (
        world.socket("http", port=world.https) as plain,
        context.wrap_socket(plain, server_hostname="a.localhost") as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: a.localhost\r\nConnection: close\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 404 ")


def test_a_strangers_name_gets_no_certificate_for_it(world):
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        world.socket("https", "example.org")


def test_an_address_gets_the_certificate_for_it(world):
    assert certificate(world, "127.0.0.1")[1] == "h2"


def test_a_session_is_taken_up_again(world):
    context = world.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def session(known=None):
        plain = world.socket("http", port=world.https)
        with context.wrap_socket(plain, server_hostname="netshop.localhost", session=known) as client:
            return client.session, client.session_reused

    first, reused = session()
    assert reused is False
    assert session(first)[1] is True


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1])
def test_old_versions_are_refused(world, version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSVersion"):
        context.minimum_version = context.maximum_version = version
    with world.socket("http", port=world.https) as plain, pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(plain, server_hostname="netshop.localhost")


def test_a_damaged_ca_costs_tls_only(tmp_path):
    (tmp_path / "damaged" / "authority").mkdir(parents=True, mode=0o700)
    (tmp_path / "damaged" / "authority" / "root.pem").write_text("nonsense")
    world = World(tmp_path, [service("netshop")])
    try:
        gateway = replace(world.snapshot.gateway, ca_file=str(tmp_path / "damaged" / "authority" / "root.pem"))
        world.tell(service("netshop"), gateway=gateway)
        assert world.get("netshop.localhost").route == "remote"
        with pytest.raises((ssl.SSLError, OSError)):
            world.socket("https", "netshop.localhost")
        assert "Traceback" not in world.stderr()
        assert "local CA" in world.stderr()
    finally:
        world.close()


def test_plain_http_on_the_https_port_is_answered_all_the_same(world):
    world.tell(service("register", remote=None))
    answer = world.get("register.localhost", port=world.https)
    assert answer.status == 503


def test_tls_on_the_http_port_is_answered_all_the_same(world):
    world.tell(service("register", remote=None))
    assert world.get("register.localhost", scheme="https", port=world.http).status == 503
