"""The gateway as a process: how it starts, survives its supervisor, ends, and what it does about its own faults."""

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from gateway_world import World, one_world, service
from stage import PATIENCE, eventually, free_port

FAULTY = """
import sys
from proxy_addons import host_routing, fallback_page
from proxy_addons.remote import fallthrough as remote_fallthrough
def crash(*_): raise ZeroDivisionError("on purpose")
{patch}
from proxy_addons.__main__ import main
sys.exit(main([]))
"""


shared = pytest.fixture(scope="module")(one_world)


@pytest.fixture
def calm(shared):
    """A gateway that other tests use too, and leave running."""
    shared.tell(service("netshop"))
    return shared


@pytest.fixture
def world(tmp_path):
    """A gateway of the test's own."""
    world = World(tmp_path, [service("netshop")])
    try:
        yield world
    finally:
        world.close()


def test_it_is_ready_only_when_it_answers(tmp_path):
    began = time.monotonic()
    world = World(tmp_path, [service("register", remote=None)])
    try:
        assert world.get("register.localhost").status == 503
        assert time.monotonic() - began < 10
    finally:
        world.close()


def test_mitmproxy_makes_no_ca_of_its_own(calm):
    assert calm.get("netshop.localhost", scheme="https").route == "remote"
    assert list((calm.folder / "gateway").glob("mitmproxy*")) == []


def test_it_goes_on_without_its_supervisor_and_says_so_once(calm):
    before = len(calm.stderr())
    calm.supervisor.vanish()
    assert calm.get("netshop.localhost").route == "remote"
    eventually(lambda: "No word from the supervisor" in calm.stderr()[before:])
    assert calm.get("netshop.localhost").route == "remote"
    shop = calm.origin()
    calm.supervisor.snapshot = replace(calm.first, services=(service("netshop", port=shop.port),))
    calm.supervisor.open()
    assert calm.supervisor.ready.get(timeout=PATIENCE) == {"ready": True}
    assert calm.get("netshop.localhost").route == "local"
    assert calm.stderr()[before:].count("No word from the supervisor") == 1
    assert calm.stderr()[before:].count("The supervisor is back") == 1


def test_a_line_that_is_no_snapshot_is_not_the_end(calm):
    async def write():
        for writer in calm.supervisor._watchers:
            writer.write(b"nonsense\n")

    calm.stage.do(write())
    assert calm.supervisor.ready.get(timeout=PATIENCE) == {"ready": True}  # it has come back
    assert calm.get("netshop.localhost").route == "remote"


def test_it_opens_the_port_again_when_the_supervisor_starts_it_anew(world):
    world.process.kill()
    world.process.wait(PATIENCE)
    world.start()
    assert world.get("netshop.localhost").route == "remote"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_request_is_finished_before_the_end(world, number):
    shop = world.origin()
    world.tell(service("netshop", port=shop.port))
    with world.connection("netshop.localhost") as client, world.socket() as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: netshop.localhost\r\n\r\n")
        idle.recv(65536)
        client.request("GET", "/events", headers={"Host": "netshop.localhost"})
        answer = client.getresponse()
        world.process.send_signal(number)
        eventually(lambda: _not_accepting(world))
        world.supervisor.tell(replace(world.snapshot, services=()))  # other services end meanwhile
        shop.release.set()
        assert b"second" in answer.read()
        assert world.process.wait(PATIENCE) == 0
    assert "Traceback" not in world.stderr()
    assert "No word from the supervisor" not in world.stderr()


def _not_accepting(world):
    """The supervisor still holds the sockets, so a new connection waits: it must not be answered by this process."""
    with world.socket() as client:
        client.settimeout(0.05)
        client.sendall(b"GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n")
        try:
            return client.recv(1) == b""
        except TimeoutError:
            return True


def test_a_request_that_never_ends_delays_the_end_by_two_seconds(world):
    shop = world.origin()
    world.tell(service("netshop", port=shop.port))
    with world.socket() as client:
        client.sendall(b"GET /silent HTTP/1.1\r\nHost: netshop.localhost\r\n\r\n")
        shop.last()
        began = time.monotonic()
        world.process.send_signal(signal.SIGTERM)
        assert world.process.wait(PATIENCE) == 0
        assert 1.5 < time.monotonic() - began < 5


def test_a_service_that_is_too_slow_is_504(tmp_path):
    world = World(tmp_path, arguments=("--answer-timeout", "0.3"))
    try:
        shop = world.origin()
        world.tell(service("netshop", port=shop.port), service("account"))
        answer = world.get("netshop.localhost", "/silent", headers={"Accept": "application/json"})
        assert (answer.status, answer.route, answer.json["code"]) == (504, "fallback", "slow")
        answer = world.get("account.localhost", "/silent", headers={"Accept": "application/json"})
        assert (answer.status, answer.json["code"]) == (504, "remote-slow")
        assert world.get("netshop.localhost").status == 200
    finally:
        world.close()


def test_a_service_whose_backlog_is_full_is_504(calm):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        held = []
        for _ in range(8):  # the kernel takes a few more than it was told to
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            held.append(client)
        calm.tell(service("netshop", port=port))
        answer = calm.get("netshop.localhost", headers={"Accept": "application/json"})
        for client in held:
            client.close()
    # ::1 was tried after it, and refused
    assert (answer.status, answer.json["code"]) in {(504, "slow"), (502, "refused")}


@pytest.mark.parametrize(
    "patch",
    [
        "host_routing.site_of = crash",
        "remote_fallthrough.RemoteFallthrough.requestheaders = crash",
        "remote_fallthrough.RemoteFallthrough.responseheaders = crash",
    ],
)
def test_an_addon_that_crashes_ends_the_request_and_is_logged_once(tmp_path, patch):
    world = World(tmp_path, [service("netshop")], program=("-c", FAULTY.format(patch=patch)))
    try:
        seen = world.remote.seen.qsize()
        answer = world.get("netshop.localhost", headers={"Accept": "application/json"})
        assert (answer.status, answer.route) == (502, "fallback")
        reference = answer.all("X-Stores-Fault")[0] if answer.all("X-Stores-Fault") else answer.json["reference"]
        assert world.stderr().count("Traceback") == 1
        assert world.stderr().count(f"Fault {reference} in") == 1
        assert "ZeroDivisionError: on purpose" in world.stderr()
        assert b'"target"' not in answer.body  # nothing of what the remote may have said
        if "responseheaders" not in patch:
            assert world.remote.seen.qsize() == seen
    finally:
        world.close()


def test_a_page_that_crashes_still_answers(tmp_path):
    program = ("-c", FAULTY.format(patch="fallback_page.FallbackPage._page = crash"))
    world = World(tmp_path, [service("register", remote=None)], program=program)
    try:
        answer = world.get("register.localhost")
        assert (answer.status, answer.route) == (502, "fallback")
        assert "a fault in the gateway" in answer.text
    finally:
        world.close()


def test_somebody_may_start_it_by_hand(calm):
    http = free_port()
    command = [sys.executable, "-P", "-m", "proxy_addons", "--http", str(http), "--control", str(calm.control)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STORES_")}
    with subprocess.Popen([*command, "--state", str(calm.folder / "other")], env=environ) as process:
        try:
            assert calm.supervisor.ready.get(timeout=PATIENCE) == {"ready": True}
            assert calm.get("netshop.localhost", port=http).route == "remote"
            if socket.has_ipv6:
                with socket.create_connection(("::1", http), PATIENCE):
                    pass
        finally:
            process.terminate()
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("arguments", [(), ("--http", "0"), ("--control", "/nowhere", "--state", "/tmp")])
def test_a_command_line_without_a_place_is_refused(arguments):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STORES_")}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "proxy_addons", *arguments],
        env=environ,
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    assert b"--" in done.stderr


def test_a_socket_that_is_none_is_refused_in_words(tmp_path):
    environ = {**os.environ, "STORES_CONTROL": "x", "STORES_GATEWAY_STATE": str(tmp_path), "STORES_LISTEN": "http=nine"}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "proxy_addons"], env=environ, capture_output=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 1
    assert b'"http=nine" is not http=NUMBER' in done.stderr


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is read from /proc")
def test_memory_stays_flat_over_many_requests_and_connections(calm):
    shop = calm.origin()
    calm.tell(service("netshop", port=shop.port))

    def many(count):
        url = f"https://netshop.localhost:{calm.https}/"
        calm.curl("--http2", "-o", "/dev/null", "--resolve", calm.resolve("netshop.localhost"), f"{url}?[1-{count}]")
        for _ in range(count // 10):
            assert calm.get("netshop.localhost").status == 200

    many(100)
    before = resident(calm)
    many(300)
    assert resident(calm) - before < 2_000_000


def resident(world):
    pages = int(Path(f"/proc/{world.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="wake-ups are read from /proc")
def test_it_does_nothing_when_nothing_is_asked(calm):
    calm.get("netshop.localhost")

    def switches():
        status = Path(f"/proc/{calm.process.pid}/status").read_text()
        return sum(int(line.split()[1]) for line in status.splitlines() if "ctxt_switches" in line)

    eventually(lambda: _quiet(switches))
    before = switches()
    with pytest.raises(queue.Empty):
        calm.supervisor.ready.get(timeout=1)
    assert switches() - before <= 2


def _quiet(switches):
    before = switches()
    threading.Event().wait(0.1)
    return switches() == before
