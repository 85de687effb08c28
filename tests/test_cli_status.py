"""`stores status` tells what each costs, where it listens and since when, once or for as long as one looks."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

import psutil
import pytest
from workbench import Site, wait_until

#: Holds 40 MB that its child shares with it (fork), burns CPU in the child, and listens on two ports.
COSTLY = """
import os, socket, sys, time
held = bytes(range(256)) * (40 * 4096)
servers = [socket.create_server(("127.0.0.1", port)) for port in (int(os.environ["PORT"]), 0)]
if os.fork() == 0:
    while True:
        pass
while True:
    time.sleep(600)
"""


def test_cost_is_that_of_the_whole_tree_with_shared_pages_counted_once(site: Site) -> None:
    site.program("costly.py", COSTLY)
    site.service("netshop", f"web: {sys.executable} costly.py\nworker: sleep 600\n")
    site.ok("up", "-d")
    # what burns is the child, and a busy machine gives it nothing for as long as it likes
    told = wait_until(lambda: (told := site.status())["services"][0]["cpu"] and told, "the child has had CPU")
    (netshop,) = told["services"]
    web, worker = netshop["processes"]
    tree = [psutil.Process(web["pid"]), *psutil.Process(web["pid"]).children()]
    assert 0 < web["cpu"] <= 110  # it is one thread, and the kernel counts in steps of 10 ms
    assert 40e6 < web["memory"] < 75e6
    assert sum(process.memory_info().rss for process in tree) > 90e6
    assert netshop["memory"] == web["memory"] + worker["memory"]
    assert netshop["cpu"] == pytest.approx(web["cpu"] + worker["cpu"])
    assert web["port"] in web["listening"]
    assert len(web["listening"]) == 2
    assert worker["listening"] == []
    assert told["supervisor"]["memory"] > 5e6
    assert told["supervisor"]["pid"] == told["pid"]


def test_people_get_one_table_with_uptime_port_cost_and_url(site: Site) -> None:
    site.program("serve.py", COSTLY.replace("if os.fork() == 0", "if False"))
    site.service("netshop", f"web: {sys.executable} serve.py\n")
    site.service("reserve", "web: sleep 600\n")
    site.ok("up", "-d", "netshop")
    head, netshop, reserve, *_ = site.ok("status").splitlines()
    assert head.split() == ["SERVICE", "STATE", "ROUTE", "PID", "PORT", "UPTIME", "CPU", "MEMORY", "URL"]
    pattern = r"netshop +ready +local +\d+ +\d+ +\d+s +\d+ % +\d+ MB +https://netshop\.local\.example\.com:\d+/"
    assert re.fullmatch(pattern, netshop)
    assert re.match(r"reserve +stopped +remote +https://", reserve)
    assert site.ok("status", "netshop").count("\n") == site.ok("status").count("\n") - 1


def test_what_stands_behind_the_api_gateway_is_named_with_its_prefix(site: Site) -> None:
    site.service("organization", "web: sleep 600\n", route="/organization")
    site.ok("up", "-d", "gateway")
    lines = site.stores("status").stdout.splitlines()
    (line,) = [line for line in lines if line.startswith("API gateway ")]
    assert line.endswith(f":{site.status()['gateway']['http']}: /organization → organization")


def test_a_service_that_listens_elsewhere_than_told_is_named(site: Site) -> None:
    site.program("serve.py", COSTLY.replace("if os.fork() == 0", "if False").replace('int(os.environ["PORT"])', "0"))
    site.service("netshop", f"web: {sys.executable} serve.py\n", ready_timeout=1)
    site.stores("up", "-d")
    port = site.process("netshop.web")["port"]
    assert f"and requests go to {port} ($PORT)" in wait_until(
        lambda: (text := site.ok("status")) and "listens on" in text and text, "it listens"
    )


def test_nothing_that_runs_is_exit_code_3_and_still_tells_what_is_registered(site: Site) -> None:
    site.service("netshop", "web: sleep 600\n")
    done = site.stores("status")
    assert done.returncode == 3
    assert "netshop  stopped" in done.stdout
    assert "stores run" in done.stdout
    assert site.stores("status", "netshpo").returncode == 4
    assert site.stores("status", "--watch").returncode == 3


def test_status_of_a_supervisor_that_is_just_starting_waits_for_it(site: Site) -> None:
    site.service("netshop", "web: echo up; exec sleep 600\n", ready={"log": "up"})
    running = site.begin("run", "netshop")
    wait_until(lambda: list((site.folder / "state").rglob("supervisor.lock")), "it takes the lock")
    assert site.status()["pid"] in {0, running.pid}
    running.wait_for("up")
    assert site.status()["pid"] == running.pid


def test_watch_without_a_terminal_prints_once(site: Site) -> None:
    site.service("netshop", "web: echo up; exec sleep 600\n", ready={"log": "up"})
    site.ok("up", "-d")
    printed = site.ok("status", "--watch", timeout=20)
    assert printed.count("SERVICE") == 1
    assert "\x1b" not in printed


def test_watch_for_programs_is_a_line_of_json_for_each_change(site: Site) -> None:
    site.service("netshop", "web: echo up; exec sleep 600\n", ready={"log": "up"})
    site.ok("up", "-d", "gateway")
    running = site.begin("status", "--watch", "--json")
    running.wait_for("\n")
    site.ok("start", "netshop")
    running.wait_for('"state":"ready","route":"local"')
    site.ok("down")
    assert running.wait() == 0
    states = [json.loads(line)["services"][0]["state"] for line in running.text.splitlines()]
    assert states[0] == "stopped"
    assert "ready" in states


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, site: Site, *arguments: str, columns: int = 80) -> None:
        self.leader, follower = pty.openpty()
        fcntl.ioctl(self.leader, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "procman.cli", *arguments],
            cwd=site.root,
            env={key: value for key, value in site.env.items() if key != "COLUMNS"} | {"TERM": "xterm"},
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
        )
        os.close(follower)
        self.output = ""

    def read(self, patience: float) -> bool:
        if not select.select([self.leader], [], [], patience)[0]:
            return False
        try:
            self.output += os.read(self.leader, 65536).decode()
        except OSError:
            return False
        return True

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 30
        while text not in self.output:
            assert time.monotonic() < deadline, self.output
            self.read(0.1)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.leader)


@pytest.fixture
def watched(site: Site) -> Iterator[Terminal]:
    site.service("netshop", "web: echo up; exec sleep 600\n", ready={"log": "up"})
    site.ok("up", "-d", "gateway")
    terminal = Terminal(site, "status", "--watch")
    try:
        terminal.wait_for("q ends this.")
        yield terminal
    finally:
        terminal.end()


def test_watch_redraws_when_something_changes_and_q_ends_it(site: Site, watched: Terminal) -> None:
    assert "\x1b[?1049h" in watched.output
    site.ok("start", "netshop")
    watched.wait_for("ready")
    os.write(watched.leader, b"q")
    assert watched.process.wait(20) == 0
    while watched.read(0.2):
        pass
    after = watched.output.rpartition("\x1b[?1049l")[2]
    assert "SERVICE" in after
    assert max(len(line) for line in after.splitlines() if "URL" in line or "netshop" in line) <= 80


def test_ctrl_c_ends_watch_and_gives_the_terminal_back(watched: Terminal) -> None:
    watched.process.send_signal(signal.SIGINT)
    assert watched.process.wait(20) == 0
    while watched.read(0.2):
        pass
    assert "\x1b[?25h" in watched.output
    assert termios.tcgetattr(watched.leader)[3] & termios.ICANON


def test_watch_ends_with_the_supervisor(site: Site, watched: Terminal) -> None:
    site.ok("down")
    assert watched.process.wait(20) == 0


def test_an_idle_watch_measures_only_every_two_seconds(site: Site, watched: Terminal) -> None:
    before = psutil.Process(watched.process.pid).cpu_times()
    began, drawn = time.monotonic(), watched.output.count("\x1b[H")
    while time.monotonic() - began < 5:
        watched.read(0.2)
    assert watched.output.count("\x1b[H") - drawn <= 4
    after = psutil.Process(watched.process.pid).cpu_times()
    assert after.user + after.system - before.user - before.system < 1.0
