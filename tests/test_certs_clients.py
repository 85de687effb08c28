"""What clients make of our certificates, on real sockets: ours pass, forged ones signed with the same key do not."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from tls_origin import TlsOrigin

from certs.authority import Authority
from certs.bundle import environment, write_bundle
from certs.folder import CaFolder

DOMAIN = "local.example.com"
OURS = [
    DOMAIN,
    f"netshop.{DOMAIN}",
    f"a.netshop.{DOMAIN}",
    f"a.b.c.d.netshop.{DOMAIN}",
    f"NETSHOP.{DOMAIN.upper()}",
    f"my_app.{DOMAIN}",
    f"a.my_app.{DOMAIN}",
    f"xn--caf-dma.{DOMAIN}",
    f"x.xn--caf-dma.{DOMAIN}",
    "localhost",
    "netshop.localhost",
    "a.netshop.localhost",
    "127.0.0.1",
    "::1",
]
FORGED = ["example.org", "example.com", "8.8.8.8", "2001:db8::1"]

needs = {
    name: pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed")
    for name in ("openssl", "curl", "node", "javac", "keytool")
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certs")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority.load_or_create(folder / "ca", DOMAIN)


@pytest.fixture(scope="module")
def public() -> trustme.CA:
    """Stands for the roots of the system."""
    return trustme.CA()


@pytest.fixture(scope="module")
def variables(authority: Authority, public: trustme.CA, folder: Path) -> dict[str, str]:
    """What a service's process gets, and nothing else that a TLS library may look at."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    bundle = write_bundle(authority, folder, public.cert_pem.bytes())
    return kept | environment(authority, bundle)


@pytest.fixture
def serve() -> Iterator[Callable[[ssl.SSLContext], int]]:
    servers: list[TlsOrigin] = []

    def start(context: ssl.SSLContext) -> int:
        servers.append(TlsOrigin(context))
        return servers[-1].port

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def port(authority: Authority, serve: Callable[[ssl.SSLContext], int]) -> int:
    return serve(authority.listening_context(["http/1.1"]))


@pytest.fixture
def forge(authority: Authority, serve: Callable[[ssl.SSLContext], int], tmp_path: Path) -> Callable[[str], int]:
    """What a thief of the intermediate's key can do."""

    def start(name: str) -> int:
        place = CaFolder(authority.ca_file.parent.parent)
        thief = trustme.CA.from_pem(place.intermediate_file.read_bytes(), place.key_file.read_bytes())
        leaf = thief.issue_cert(name, "localhost")
        file = tmp_path / "forged.pem"
        file.write_bytes(leaf.private_key_and_cert_chain_pem.bytes() + authority.intermediate_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return serve(context)

    return start


def connect(
    client: ssl.SSLContext, port: int, name: str | None, session: ssl.SSLSession | None = None
) -> ssl.SSLSocket:
    host = "::1" if name == "::1" else "127.0.0.1"
    plain = socket.create_connection((host, port), timeout=20)
    try:
        tls = client.wrap_socket(plain, server_hostname=name, session=session)
    except BaseException:
        plain.close()
        raise
    try:
        tls.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert tls.recv(4096).startswith(b"HTTP/1.1 200")
    except BaseException:
        tls.close()
        raise
    return tls


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.ca_file)


def run(command: list[str], variables: dict[str, str], entered: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=variables, input=entered, capture_output=True, text=True, timeout=60, check=False
    )


# --- Python


@pytest.mark.parametrize("name", OURS)
def test_python_accepts_our_names(authority: Authority, port: int, name: str) -> None:
    connect(trusting(authority), port, name).close()


@pytest.mark.parametrize("name", FORGED)
def test_python_refuses_a_forged_name(authority: Authority, forge: Callable[[str], int], name: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        connect(trusting(authority), forge(name), name)


def test_python_refuses_a_forged_leaf_even_for_a_name_of_ours_in_it(
    authority: Authority, forge: Callable[[str], int]
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        connect(trusting(authority), forge("example.org"), "localhost")


def test_a_foreign_name_is_answered_with_the_leaf_for_localhost(authority: Authority, port: int) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        connect(trusting(authority), port, "example.org")


def test_a_client_without_a_name_gets_the_leaf_for_localhost(authority: Authority, port: int) -> None:
    client = trusting(authority)
    client.check_hostname = False
    with connect(client, port, None) as tls:
        certificate = tls.getpeercert()
    assert certificate
    assert ("DNS", "localhost") in certificate["subjectAltName"]


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), (["spdy/1"], None)]
)
def test_alpn_is_chosen_by_the_context_of_the_name(
    authority: Authority, serve: Callable[[ssl.SSLContext], int], offered: list[str], chosen: str | None
) -> None:
    port = serve(authority.listening_context())
    client = trusting(authority)
    client.set_alpn_protocols(offered)
    with connect(client, port, f"a.b.{DOMAIN}") as tls:
        assert tls.selected_alpn_protocol() == chosen


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_resumed(authority: Authority, port: int, version: ssl.TLSVersion) -> None:
    client = trusting(authority)
    client.minimum_version = client.maximum_version = version
    with connect(client, port, f"netshop.{DOMAIN}") as tls:
        assert not tls.session_reused
        session = tls.session
    with connect(client, port, f"netshop.{DOMAIN}", session) as tls:
        assert tls.session_reused


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # that TLS 1.1 is no good is what is tested
def test_tls_1_1_is_refused(authority: Authority, port: int) -> None:
    client = trusting(authority)
    client.set_ciphers("ALL:@SECLEVEL=0")
    client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        connect(client, port, f"netshop.{DOMAIN}")


def test_tls_1_2_has_no_cipher_that_http2_forbids(authority: Authority) -> None:
    context = authority.context_for(None)
    names = [cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] == "TLSv1.2"]
    assert names
    assert all(re.match("ECDHE-.*(GCM|CHACHA20)", name) for name in names)


def test_a_handshake_that_gets_no_certificate_ends_with_an_alert_and_the_next_one_works(
    folder: Path, serve: Callable[[ssl.SSLContext], int]
) -> None:
    authority = Authority.load_or_create(folder / "second", DOMAIN)
    port = serve(authority.listening_context())
    leaves = CaFolder(folder / "second").leaves
    leaves.rename(leaves.with_name("away"))
    leaves.write_text("in the way")
    with pytest.raises(ssl.SSLError, match=r"(?i)internal.error"):
        connect(trusting(authority), port, f"a.b.{DOMAIN}")
    leaves.unlink()
    connect(trusting(authority), port, f"a.b.{DOMAIN}").close()


# --- other programs, with the variables of a service's process


def python_child(port: int, name: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    source = (
        "import socket, ssl, sys\n"
        "plain = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
        "with ssl.create_default_context().wrap_socket(plain, server_hostname=sys.argv[2]) as tls: tls.send(b'x')"
    )
    return run([sys.executable, "-c", source, str(port), name], variables)


def test_a_child_of_python_trusts_our_ca_and_the_public_ones(
    port: int, public: trustme.CA, serve: Callable[[ssl.SSLContext], int], variables: dict[str, str]
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    public.issue_cert("public.example.org").configure_cert(context)
    public_port = serve(context)
    assert python_child(port, f"a.netshop.{DOMAIN}", variables).returncode == 0
    assert python_child(public_port, "public.example.org", variables).returncode == 0
    without = {key: value for key, value in variables.items() if key != "SSL_CERT_FILE"}
    assert "CERTIFICATE_VERIFY_FAILED" in python_child(port, f"a.netshop.{DOMAIN}", without).stderr


def s_client(port: int, name: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    is_address = re.fullmatch(r"[0-9.]+|.*:.*", name)
    host = "[::1]" if name == "::1" else "127.0.0.1"
    wanted = ["-verify_ip", name, "-noservername"] if is_address else ["-verify_hostname", name, "-servername", name]
    command = ["openssl", "s_client", "-connect", f"{host}:{port}", "-verify_return_error", *wanted]
    return run([*command, "-brief"], variables, "GET / HTTP/1.1\r\n\r\n")


@needs["openssl"]
@pytest.mark.parametrize("name", OURS)
def test_openssl_accepts_our_names(port: int, name: str, variables: dict[str, str]) -> None:
    answer = s_client(port, name, variables)
    assert "Verification: OK" in answer.stderr, answer.stderr


@needs["openssl"]
@pytest.mark.parametrize("name", FORGED)
def test_openssl_refuses_a_forged_name(forge: Callable[[str], int], name: str, variables: dict[str, str]) -> None:
    answer = s_client(forge(name), name, variables)
    assert answer.returncode != 0
    assert "permitted subtree violation" in answer.stderr


@needs["openssl"]
def test_openssl_verifies_the_files_for_a_server_and_not_for_signing_code(
    authority: Authority, tmp_path: Path, variables: dict[str, str]
) -> None:
    leaf = authority.leaf(f"netshop.{DOMAIN}")
    chain = tmp_path / "chain.pem"
    chain.write_bytes(leaf.chain_pem)
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(authority.ca_file), "-untrusted", str(chain)]
    assert run([*command, "-purpose", "sslserver", str(chain)], variables).returncode == 0
    for purpose in ("sslclient", "smimesign"):
        assert run([*command, "-purpose", purpose, str(chain)], variables).returncode != 0


def curl(port: int, host: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    there = "[::1]" if host == "[::1]" else "127.0.0.1"
    command = ["curl", "-sS", "-o", os.devnull, "-w", "%{http_code}", "--noproxy", "*"]
    return run([*command, "--connect-to", f"::{there}:{port}", f"https://{host}/"], variables)


@needs["curl"]
@pytest.mark.parametrize("name", [*OURS, f"netshop.{DOMAIN}."])
def test_curl_accepts_our_names(port: int, name: str, variables: dict[str, str]) -> None:
    answer = curl(port, f"[{name}]" if ":" in name else name, variables)
    assert answer.stdout == "200", answer.stderr


@needs["curl"]
@pytest.mark.parametrize("name", FORGED)
def test_curl_refuses_a_forged_name(forge: Callable[[str], int], name: str, variables: dict[str, str]) -> None:
    answer = curl(forge(name), f"[{name}]" if ":" in name else name, variables)
    assert answer.returncode == 60, answer.stderr  # CURLE_PEER_FAILED_VERIFICATION


NODE = """
const tls = require('tls'), net = require('net');
const [port, ...names] = JSON.parse(process.argv[1]);
const one = (name) => new Promise((done) => {
  const socket = tls.connect({
    port, host: name === '::1' ? '::1' : '127.0.0.1', ...(net.isIP(name) ? {} : { servername: name }),
    checkServerIdentity: (_, certificate) => tls.checkServerIdentity(name, certificate),
  }, () => socket.write('GET / HTTP/1.1\\r\\n\\r\\n'));
  socket.on('data', () => {});
  socket.on('end', () => done('ok'));
  socket.on('error', (error) => done(error.message));
});
(async () => {
  const said = {};
  for (const name of names) said[name] = await one(name);
  console.log(JSON.stringify(said));
})();
"""


def node(port: int, names: list[str], variables: dict[str, str]) -> dict[str, str]:
    answer = run(["node", "-e", NODE, json.dumps([port, *names])], variables)
    assert answer.returncode == 0, answer.stderr
    said: dict[str, str] = json.loads(answer.stdout)
    return said


@needs["node"]
def test_node_accepts_our_names(port: int, variables: dict[str, str]) -> None:
    assert node(port, OURS, variables) == dict.fromkeys(OURS, "ok")


@needs["node"]
@pytest.mark.parametrize("name", FORGED)
def test_node_refuses_a_forged_name(forge: Callable[[str], int], name: str, variables: dict[str, str]) -> None:
    assert node(forge(name), [name], variables) == {name: "permitted subtree violation"}


JAVA = """
import javax.net.ssl.*;
import java.net.*;
public class Client {
    public static void main(String[] all) throws Exception {
        for (int i = 0; i < all.length; i += 2) {
            Socket plain = new Socket("127.0.0.1", Integer.parseInt(all[i]));
            SSLSocketFactory factory = (SSLSocketFactory) SSLSocketFactory.getDefault();
            SSLSocket tls = (SSLSocket) factory.createSocket(plain, all[i + 1], 443, true);
            SSLParameters parameters = tls.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            tls.setSSLParameters(parameters);
            try { tls.startHandshake(); System.out.println(all[i + 1] + " ok"); }
            catch (SSLException e) { System.out.println(all[i + 1] + " " + e.getMessage()); }
            plain.close();
        }
    }
}
"""


@needs["javac"]
@needs["keytool"]
def test_java_accepts_our_names_and_refuses_forged_ones(
    authority: Authority, port: int, forge: Callable[[str], int], tmp_path: Path, variables: dict[str, str]
) -> None:
    """It ignores constraints on a root: those on the intermediate are what holds here."""
    store, source = tmp_path / "trust.p12", tmp_path / "Client.java"
    source.write_text(JAVA)
    command = ["keytool", "-importcert", "-noprompt", "-alias", "stores", "-file", str(authority.ca_file)]
    assert run([*command, "-keystore", str(store), "-storepass", "changeit"], variables).returncode == 0
    ours = [name for name in OURS if "_" not in name and ":" not in name]
    places = [part for name in ours for part in (str(port), name)]
    places += [part for name in ("example.org", "8.8.8.8") for part in (str(forge(name)), name)]
    options = [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=changeit"]
    answer = run(["java", "-XX:TieredStopAtLevel=1", *options, str(source), *places], variables)
    assert answer.returncode == 0, answer.stderr
    said = dict(line.split(" ", 1) for line in answer.stdout.splitlines())
    assert {name: said[name] for name in ours} == dict.fromkeys(ours, "ok")
    assert "name constraints" in said["example.org"]
    assert "name constraints" in said["8.8.8.8"]
