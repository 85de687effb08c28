"""The resolver by itself, as a person starts it, and `dig` as its client."""

import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from importlib import metadata

import pytest

PATIENCE = 20
dig_installed = pytest.mark.skipif(not shutil.which("dig"), reason="dig is not installed (Debian: dnsutils)")


@contextmanager
def command(tmp_path, *arguments):
    """`python -P -m dns` in a folder where another `dns` lies."""
    (tmp_path / "dns.py").write_text("raise SystemExit('the wrong dns')")
    with subprocess.Popen(
        [sys.executable, "-P", "-W", "error", "-m", "dns", *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def port(tmp_path):
    with command(tmp_path, "--domain", "local.example.com") as process:
        line = process.stdout.readline()
        assert line.startswith("Answering for local.example.com on 127.0.0.1 port "), process.stderr.read()
        yield int(line.split("127.0.0.1 port ")[1].split(",")[0])


def dig(port, *arguments) -> str:
    line = ["dig", "@127.0.0.1", "-p", str(port), "+tries=1", f"+timeout={PATIENCE}", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout


@dig_installed
class TestDig:
    @pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
    @pytest.mark.parametrize(("qtype", "address"), [("A", "127.0.0.1"), ("AAAA", "::1")])
    def test_dig_gets_the_address_at_any_depth(self, port, transport, qtype, address):
        for name in ("local.example.com", "netshop.local.example.com", "a.b.c.netshop.local.example.com"):
            assert dig(port, name, qtype, transport, "+short").split() == [address]

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["x.local.example.com", "TXT"], "status: NOERROR"),
            (["x.local.example.com", "TYPE65"], "SOA\tns.local.example.com. hostmaster.local.example.com."),
            (["local.example.com", "NS"], "NS\tns.local.example.com."),
            (["local.example.com", "ANY"], "ANSWER: 2"),
            (["local.example.com", "AXFR"], "Transfer failed"),
            (["evillocal.example.com"], "status: REFUSED"),
            (["version.bind", "CH", "TXT"], "status: REFUSED"),
            (["x.local.example.com", "+edns=1", "+noednsnegotiation"], "status: BADVERS"),
            (["x.local.example.com", "+dnssec"], "EDNS: version: 0, flags: do; udp: 1232"),
            (["x.local.example.com", "+ednsopt=65001:abcd"], "status: NOERROR"),
            (["x.local.example.com", "+ednsflags=0x40"], "EDNS: version: 0, flags:; udp: 1232"),
            (["x.local.example.com", "+opcode=NOTIFY"], "status: NOTIMP"),
            (["+header-only", "x.local.example.com"], "status: FORMERR"),
            (["nEtShOp.LoCaL.example.com"], "nEtShOp.LoCaL.example.com. 60\tIN\tA\t127.0.0.1"),
            (["x.local.example.com", "+padding=468"], "status: NOERROR"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_dig_agrees_and_complains_of_nothing(self, port, arguments, expected):
        output = dig(port, *arguments)
        assert expected in output
        assert "Warning" not in output
        assert "malformed" not in output

    def test_a_query_is_answered_over_ipv6(self, port):
        try:
            with socket.create_connection(("::1", port), PATIENCE):
                pass
        except OSError:
            pytest.skip("this machine has no IPv6")
        assert dig(port, "@::1", "netshop.local.example.com", "+short").split() == ["127.0.0.1"]


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
def test_a_taken_port_is_told_with_what_to_type(tmp_path, kind):
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        taken = other.getsockname()[1]
        with command(tmp_path, "--domain", "local.example.com", "--port", str(taken)) as process:
            output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output) == (1, "")
    assert f"cannot listen on port {taken}: Address already in use" in errors
    assert f"lsof -nP -i :{taken}" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "--domain"),
        (["--domain", "not a domain"], "is no domain name"),
        (["--domain", "a.test", "--ipv4", "localhost"], "localhost"),
        (["--domain", "a.test", "--ttl", "-1"], "-1"),
        (["--domain", "a.test", "--port", "65536"], "0 to 65535"),
        (["--domain", "a.test", "--port", "-1"], "0 to 65535"),
    ],
)
def test_a_wrong_option_is_told(tmp_path, arguments, expected):
    with command(tmp_path, *arguments) as process:
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert expected in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly(tmp_path, number):
    with command(tmp_path, "--domain", "local.example.com") as process:
        assert process.stdout.readline()
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (128 + number, "")


def test_dnspython_is_not_installed_beside_us():
    with pytest.raises(metadata.PackageNotFoundError):
        metadata.distribution("dnspython")
