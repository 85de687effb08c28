"""A service that somebody started by hand on its port is seen, routed to as local, and left alone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from workbench import Site, wait_until

LISTEN = """
import socket, sys, time
server = socket.create_server((sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
while True:
    server.accept()[0].close()
"""


class ByHand:
    """Programs that a person starts beside the supervisor: an IDE's debugger, `make dev` in a terminal."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, port: int, **env: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "listen.py", str(port)],
            cwd=self.site.root,
            stdout=subprocess.PIPE,
            env={**os.environ, **env},
        )
        self.running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"listening\n"
        return process

    def end(self) -> None:
        for process in self.running:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()


@pytest.fixture
def by_hand(site: Site) -> Iterator[ByHand]:
    site.program("listen.py", LISTEN)
    made = ByHand(site)
    try:
        yield made
    finally:
        made.end()


def service(site: Site, name: str) -> dict[str, Any]:
    return dict(next(one for one in site.status()["services"] if one["name"] == name))


def port_of(site: Site, name: str) -> int:
    return int(service(site, name)["port"])


def ask(site: Site, **request: Any) -> Any:
    """A request over the control socket, as the gateway sends it."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(next(site.runtime.glob("stores/*/control.sock"))))
        connection.sendall(json.dumps(request).encode() + b"\n")
        with connection.makefile("rb") as lines:
            return json.loads(list(lines)[-1])["ok"]


def test_it_is_external_and_local_while_it_runs_and_no_longer(site: Site, by_hand: ByHand) -> None:
    site.service("netshop", "web: sleep 600\nworker: sleep 600\n")
    site.service("reserve", "web: echo up; exec sleep 600\n", ready={"log": "up"})
    site.ok("up", "-d", "reserve")
    assert service(site, "netshop")["route"] == "remote"
    process = by_hand.start(port_of(site, "netshop"))
    seen = service(site, "netshop")
    assert (seen["state"], seen["route"], seen["wanted"]) == ("external", "local", False)
    assert seen["processes"][0]["pid"] == process.pid
    assert seen["processes"][0]["memory"] > 0
    process.kill()
    process.wait()
    wait_until(lambda: service(site, "netshop")["state"] == "stopped", "it is external no more")
    assert service(site, "netshop")["route"] == "remote"


def test_its_end_is_noticed_without_anybody_asking(site: Site, by_hand: ByHand) -> None:
    site.service("netshop", "web: sleep 600\n")
    site.service("reserve", "web: echo up; exec sleep 600\n", ready={"log": "up"})
    site.ok("up", "-d", "reserve")
    process = by_hand.start(port_of(site, "netshop"))
    assert service(site, "netshop")["state"] == "external"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(next(site.runtime.glob("stores/*/control.sock"))))
        connection.sendall(b'{"verb": "watch"}\n')
        lines = connection.makefile("rb")
        first = json.loads(lines.readline())["snapshot"]["services"][0]
        assert (first["name"], first["state"]) == ("netshop", "external")
        process.kill()
        second = json.loads(lines.readline())["snapshot"]["services"][0]
        lines.close()
        assert second["state"] == "stopped"


def test_the_gateway_can_ask_for_one_service_before_it_answers_for_it(site: Site, by_hand: ByHand) -> None:
    site.service("netshop", "web: sleep 600\n")
    site.service("reserve", "web: echo up; exec sleep 600\n", ready={"log": "up"})
    site.ok("up", "-d", "reserve")
    port = port_of(site, "netshop")
    assert ask(site, verb="probe", targets=["netshop"]) == [{"name": "netshop.web", "state": "stopped", "pid": None}]
    process = by_hand.start(port)
    expected = [{"name": "netshop.web", "state": "external", "pid": process.pid}]
    assert ask(site, verb="probe", targets=["netshop"]) == expected


def test_start_says_who_holds_the_port_and_starts_the_rest(site: Site, by_hand: ByHand) -> None:
    site.service("netshop", "web: sleep 600\nworker: sleep 600\n")
    site.service("reserve", "web: echo up; exec sleep 600\n", needs=["netshop"], ready={"log": "up"})
    site.ok("up", "-d", "gateway")
    process = by_hand.start(port_of(site, "netshop"))
    done = site.stores("start", "netshop")
    assert done.returncode == 1
    assert f"PID {process.pid} (" in done.stderr
    assert "listen.py" in done.stderr
    assert site.process("netshop.worker")["state"] == "ready"
    assert site.process("netshop.web")["state"] == "external"
    site.ok("start", "reserve")  # what it needs is there, by whomever
    assert site.process("reserve.web")["state"] == "ready"


@pytest.mark.parametrize("verb", ["stop", "restart"])
def test_what_was_not_started_here_is_not_ended_here(site: Site, by_hand: ByHand, verb: str) -> None:
    site.service("netshop", "web: sleep 600\n")
    site.ok("up", "-d", "gateway")
    process = by_hand.start(port_of(site, "netshop"))
    done = site.stores(verb, "netshop")
    assert done.returncode == 1
    assert "was started by hand, and not here" in done.stderr
    assert f"PID {process.pid} (" in done.stderr
    assert "End it where it was started" in done.stderr
    site.ok("stop")
    site.ok("down")
    assert process.poll() is None


def test_a_run_in_the_foreground_says_who_holds_the_port_and_fails(site: Site, by_hand: ByHand) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    site.service("netshop", "web: sleep 600\n", port=port)
    process = by_hand.start(port)
    done = site.stores("run", "netshop", timeout=60)
    assert done.returncode == 1
    assert f"its port {port} is held by PID {process.pid} (" in done.stdout


def test_a_process_of_ours_on_anothers_port_is_not_taken_for_it(site: Site, by_hand: ByHand) -> None:
    site.service("netshop", "web: sleep 600\n")
    site.ok("up", "-d", "gateway")
    port = port_of(site, "netshop")
    site.service("reserve", f"web: {sys.executable} listen.py {port}\n", ready={"log": "listening"})
    wait_until(lambda: "reserve" in {one["name"] for one in site.status()["services"]}, "the file is read")
    site.ok("start", "reserve")
    assert service(site, "netshop")["state"] == "stopped"


def test_a_service_that_runs_here_stays_what_it_is(site: Site, by_hand: ByHand) -> None:
    site.service("netshop", f"web: {sys.executable} listen.py $PORT\n")
    site.ok("up", "-d")
    assert ask(site, verb="probe", targets=[])[0]["state"] == "ready"
    assert service(site, "netshop")["state"] == "ready"
    site.ok("stop", "netshop")
    assert service(site, "netshop")["state"] == "stopped"
    assert Path(site.root / "listen.py").exists()


def test_it_is_seen_again_after_its_file_was_removed_and_put_back(site: Site, by_hand: ByHand) -> None:
    file = site.service("shop", "web: sleep 1000\n")
    site.service("reserve", "web: echo up; exec sleep 600\n", ready={"log": "up"})
    site.ok("up", "-d", "reserve")
    process = by_hand.start(port_of(site, "shop"))
    assert service(site, "shop")["state"] == "external"
    text = file.read_text()
    file.unlink()
    wait_until(lambda: len(site.status()["services"]) == 1, "it is registered no longer")
    file.write_text(text)
    wait_until(lambda: len(site.status()["services"]) == 2, "it is registered again")
    assert service(site, "shop")["state"] == "external"
    process.kill()
    process.wait()
    wait_until(lambda: service(site, "shop")["state"] == "stopped", "its end is seen, too")
