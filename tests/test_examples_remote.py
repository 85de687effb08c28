"""The sample remote environment: its hosts over TLS, and how it runs a command and ends with it."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from websockets.sync.client import connect

EXAMPLES = Path(__file__).parents[1] / "examples"
PATIENCE = 15  # seconds for anything; nothing takes that long unless it is broken

SAY = "import os; print('port', os.environ['STORES_REMOTE_CONNECT_TO'].rpartition(':')[2], flush=True); "


class Remote:
    """``python examples/remote``, with its output and its data directory."""

    def __init__(self, data_dir, *words):
        self.data_dir = data_dir
        self.process = subprocess.Popen(
            [sys.executable, EXAMPLES / "remote", *words],
            env=os.environ | {"DATA_DIR": str(data_dir)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def line(self, pattern):
        """The next line that the pattern is found in; the output's end fails the test."""
        for line in self.process.stdout:
            if found := re.search(pattern, line):
                return found
        pytest.fail(f"{pattern} was never printed")

    def ready(self):
        self.port = int(self.line(r"127\.0\.0\.1:(\d+)")[1])
        return self

    def below(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    with Remote(tmp_path_factory.mktemp("remote"), "--port", "0") as remote:
        yield remote.ready()


def tls(remote, name):
    context = ssl.create_default_context(cafile=remote.data_dir / "ca.pem")
    context.set_alpn_protocols(["http/1.1"])
    plain = socket.create_connection(("127.0.0.1", remote.port), PATIENCE)
    try:
        return context.wrap_socket(plain, server_hostname=name)
    except BaseException:
        plain.close()
        raise


def ask(remote, name, path, *, host="", method="GET", body=None, **headers):
    """Status, headers and text of the answer; `name` is the connection's (SNI), `host` the request's."""
    connection = http.client.HTTPConnection(name)
    with tls(remote, name) as connection.sock:
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        connection.request(method, path, body, {"Host": host or name, **sent})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()


# --- its hosts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["account", "organization", "reserve"])
def test_each_service_answers_at_its_own_host(remote, name):
    status, _, text = ask(remote, f"{name}.remote.example.com", "/healthz")
    assert (status, json.loads(text)) == (200, {"status": "ok"})


def test_one_sees_that_a_page_is_the_remote_ones(remote):
    assert "remote environment" in ask(remote, "reserve.remote.example.com", "/")[2]
    assert json.loads(ask(remote, "organization.remote.example.com", "/")[2])["environment"] == "remote environment"


def test_its_services_ask_each_other_and_not_the_workspace(remote):
    assert "account: here" in ask(remote, "reserve.remote.example.com", "/")[2]


def test_a_host_that_it_does_not_have_is_not_found(remote):
    assert ask(remote, "netshop.remote.example.com", "/")[0] == 404


def test_a_request_for_another_host_than_the_connections_is_misdirected(remote):
    assert ask(remote, "reserve.remote.example.com", "/", host="account.remote.example.com")[0] == 421
    assert ask(remote, "reserve.remote.example.com", "/", host="reserve.local.example.com")[0] == 421


def test_a_name_outside_its_domain_is_refused_in_the_handshake(remote):
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        tls(remote, "account.local.example.com")


def test_its_ca_speaks_for_no_other_domain_and_its_key_is_nowhere(remote):
    from cryptography import x509  # noqa: PLC0415 - this test alone reads certificates

    ca = x509.load_pem_x509_certificate((remote.data_dir / "ca.pem").read_bytes())
    constraints = ca.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert [name.value for name in constraints.value.permitted_subtrees] == ["remote.example.com"]
    keys = [path for path in remote.data_dir.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert [path.name for path in keys] == ["leaf.pem"]
    assert keys[0].stat().st_mode & 0o077 == 0


def test_what_a_client_says_about_its_way_is_not_believed(remote):
    forged = {"X_Forwarded_Host": "account.evil.example", "X_Forwarded_Proto": "http"}
    _, headers, text = ask(remote, "account.remote.example.com", "/sign-in", **forged)
    cookies = headers.get_all("Set-Cookie")
    assert all("Secure" in cookie for cookie in cookies)
    csrf = re.search(r'name="csrf" value="(\w+)"', text)[1]
    form = f"csrf={csrf}&login=alice&password=open-sesame&app=netshop&return_to=/cart"
    page = cookies[0].partition(";")[0]
    _, headers, _ = ask(
        remote,
        "account.remote.example.com",
        "/sign-in",
        method="POST",
        body=form,
        Cookie=page,
        Origin="https://account.remote.example.com",
        **forged,
    )
    session = headers["Set-Cookie"]
    assert "Domain=remote.example.com" in session
    chain = headers["Location"]
    _, headers, _ = ask(remote, "account.remote.example.com", chain, Cookie=session.partition(";")[0])
    assert headers["Location"] == "https://netshop.remote.example.com/cart"


def test_its_broker_takes_an_event_tells_of_it_and_says_what_is_no_event(remote):
    host = "events.remote.example.com"
    event = {"ce_specversion": "1.0", "ce_type": "com.example.x", "ce_source": "/t", "ce_id": "1"}
    status, _, text = ask(
        remote, host, "/v1/events", method="POST", body=b"{}", content_type="application/json", **event
    )
    assert (status, json.loads(text)["accepted"]) == (202, 1)
    found = json.loads(ask(remote, host, "/v1/events?after=-1&type=com.example.*")[2])["events"]
    assert [one["event"]["id"] for one in found] == ["1"]
    assert ask(remote, host, "/v1/events", method="POST", body=b"{}")[0] in {400, 415}
    assert ask(remote, host, "/healthz")[0] == 200


def test_a_websocket_works_through_tls(remote):
    host = "reserve.remote.example.com"
    slots = json.loads(ask(remote, host, "/api/slots?free=1")[2])["slots"]
    trust = ssl.create_default_context(cafile=remote.data_dir / "ca.pem")
    plain = socket.create_connection(("127.0.0.1", remote.port), PATIENCE)
    with connect(f"wss://{host}/live", sock=plain, ssl=trust) as window:
        assert window.ping().wait(PATIENCE)
        booking = json.dumps({"slot": slots[0]["id"], "name": "Ann"})
        assert ask(remote, host, "/api/bookings", method="POST", body=booking)[0] == 201
        assert json.loads(window.recv(PATIENCE)) == {"slot": slots[0]["id"], "state": "taken"}


def test_the_certificates_are_kept_from_run_to_run_and_made_anew_when_one_is_missing(tmp_path):
    seen = []
    for step in ("fresh", "kept", "leaf missing"):
        if step == "leaf missing":
            (tmp_path / "leaf.pem").unlink()
        with Remote(tmp_path, "--port", "0") as remote:
            remote.ready()
            assert ask(remote, "account.remote.example.com", "/healthz")[0] == 200
        seen.append((tmp_path / "ca.pem").read_bytes())
    assert seen[0] == seen[1] != seen[2]


# --- alone -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_alone_it_runs_until_it_is_told_to_end(tmp_path, number):
    with Remote(tmp_path, "--port", "0") as remote:
        remote.line(r"curl --cacert .* https://account\.remote\.example\.com/api/me")
        remote.process.send_signal(number)
        assert remote.process.wait(PATIENCE) == 0


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Remote(tmp_path, "--port", str(port)) as remote:
            assert remote.line(f"Port {port} on 127.0.0.1: Address already in use")
            assert remote.process.wait(PATIENCE) == 1


# --- with a command --------------------------------------------------------------------------------------------------


def python(code):
    return ("--", sys.executable, "-c", code)


def test_the_command_gets_what_it_needs_to_reach_the_remote(tmp_path):
    code = "import os; print(os.environ['STORES_REMOTE_CONNECT_TO'], os.environ['STORES_REMOTE_CA'])"
    with Remote(tmp_path, "--port", "0", *python(code)) as remote:
        remote.ready()
        found = remote.line(r"^::127\.0\.0\.1:(\d+) (.*)$")
        assert int(found[1]) == remote.port
        assert Path(found[2]) == tmp_path / "ca.pem"


def test_when_9443_is_taken_it_uses_a_free_port_and_says_so(tmp_path):
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # somebody has it already, which is as good
            stack.enter_context(socket.create_server(("127.0.0.1", 9443)))
        with Remote(tmp_path, *python(SAY)) as remote:
            port = remote.line(r"Port 9443 is taken: the remote environment uses (\d+)")[1]
            assert remote.line(r"^port (\d+)$")[1] == port != "9443"


@pytest.mark.parametrize(("end", "code"), [("raise SystemExit(7)", 7), ("os.kill(os.getpid(), 9)", 137), ("pass", 0)])
def test_it_ends_with_the_command_and_its_exit_code(tmp_path, end, code):
    with Remote(tmp_path, "--port", "0", *python(f"import os; {end}")) as remote:
        assert remote.process.wait(PATIENCE) == code


def test_a_command_that_does_not_exist_is_named(tmp_path):
    with Remote(tmp_path, "--port", "0", "--", "no-such-command") as remote:
        assert remote.line("no-such-command: No such file or directory")
        assert remote.process.wait(PATIENCE) == 127


def test_ctrl_c_is_the_commands_affair(tmp_path):
    code = (
        "import signal, sys\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "try: print('ready', flush=True); signal.pause()\n"
        "except KeyboardInterrupt: print('clearing up', flush=True); sys.exit(130)\n"
    )
    with Remote(tmp_path, "--port", "0", *python(code)) as remote:
        remote.line("^ready")
        os.killpg(remote.process.pid, signal.SIGINT)  # as a terminal does: both get it
        assert remote.line("clearing up")
        assert remote.process.wait(PATIENCE) == 130


def test_sigterm_is_passed_on(tmp_path):
    code = "import signal; signal.signal(15, lambda *_: exit(3)); print('ready', flush=True); signal.pause()"
    with Remote(tmp_path, "--port", "0", *python(code)) as remote:
        remote.line("^ready")
        remote.process.send_signal(signal.SIGTERM)
        assert remote.process.wait(PATIENCE) == 3


STUBBORN = (
    "import signal, subprocess, sys\n"
    "for number in (2, 15, 1): signal.signal(number, signal.SIG_IGN)\n"
    "again = [sys.executable, '-c', sys.orig_argv[2], 'child']\n"
    "if len(sys.argv) < 2: subprocess.Popen(again, start_new_session=True)\n"
    "else: print('ready', flush=True)\n"
    "signal.pause()\n"
)


@pytest.mark.parametrize("how", ["after its grace", "at the second SIGTERM"])
def test_a_command_that_ignores_signals_is_killed_with_its_children(tmp_path, how):
    grace = "0.2" if how == "after its grace" else "60"
    with Remote(tmp_path, "--port", "0", "--grace", grace, *python(STUBBORN)) as remote:
        remote.line("^ready")
        below = remote.below()
        assert len(below) == 2
        remote.process.send_signal(signal.SIGTERM)
        for _ in range(PATIENCE * 10 if how == "at the second SIGTERM" else 0):
            with contextlib.suppress(subprocess.TimeoutExpired):  # two that come together are one to the system
                remote.process.wait(0.1)
                break
            remote.process.send_signal(signal.SIGTERM)
        assert remote.process.wait(PATIENCE) == 137
        _, alive = psutil.wait_procs(below, PATIENCE)
        assert not alive
