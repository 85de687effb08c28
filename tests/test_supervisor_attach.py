"""`stores attach`: a real terminal for one process, while the others go on."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from supervising import Supervising, alive
from workbench import PATIENCE, wait_until

DEBUGGED = """
import os, signal, sys, time
def told(*_):
    print("SIZE", *os.get_terminal_size(), flush=True)
signal.signal(signal.SIGWINCH, told)
controlled = os.open("/dev/tty", os.O_RDWR) > 0
print("terminal:", sys.stdin.isatty(), sys.stdout.isatty(), controlled, flush=True)
print("ready", flush=True)
answer = 41
while True:
    try:
        breakpoint()
        print("went on with", answer, flush=True)
    except KeyboardInterrupt:
        print("INTERRUPTED", flush=True)
"""


class Window:
    """A terminal window in which a command runs: what is typed into it, and what it shows."""

    def __init__(self, command: list[str], cwd: Path, env: dict[str, str], rows: int = 30, columns: int = 100) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.chdir(cwd)
            os.execve(command[0], command, env)
        self.shown = b""

    def wait_for(self, pattern: str) -> str:
        """What is shown once the pattern is in it; the next wait looks behind it."""
        expression, deadline = re.compile(pattern.encode()), time.monotonic() + PATIENCE
        while not (found := expression.search(self.shown)):
            if time.monotonic() > deadline or not self.read():
                pytest.fail(f"{pattern!r} was never shown; there was:\n{self.shown.decode('utf-8', 'replace')}")
        before, self.shown = self.shown[: found.end()], self.shown[found.end() :]
        return before.decode("utf-8", "replace")

    def read(self) -> bool:
        if select.select([self.terminal], [], [], 0.2)[0]:
            try:
                data = os.read(self.terminal, 65536)
            except OSError as error:
                if error.errno == errno.EIO:  # the end of a terminal
                    return False
                raise
            self.shown += data
        return True

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def exit_code(self) -> int:
        while self.read():
            pass
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = 0
        return code

    def close(self) -> None:
        os.close(self.terminal)
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


@contextmanager
def attached(supervising: Supervising, *arguments: str) -> Iterator[Window]:
    env = {**supervising.env, "TERM": "xterm"}
    window = Window([sys.executable, "-P", "-m", "procman.cli", "attach", *arguments], supervising.root, env)
    try:
        yield window
    finally:
        window.close()


def debugged(supervising: Supervising, **facts: object) -> dict[str, int]:
    supervising.program("debugged.py", DEBUGGED)
    supervising.service("shop", "web: python3 debugged.py\n", ready={"log": "ready"}, **facts)
    supervising.service("other", "web: echo ready; exec sleep 1000\n", ready={"log": "ready"})
    supervising.env["TERM"] = "xterm"
    supervising.supervise()
    supervising.ask("start")
    return supervising.pids()


def test_attach_gives_pdb_a_real_terminal_with_echo_and_history_without_stopping_the_others(
    supervising: Supervising,
) -> None:
    before = debugged(supervising, terminal=True)
    with attached(supervising, "shop") as window:
        window.wait_for(r"attached to shop\.web \(PID \d+\); ctrl-\] detaches")
        window.wait_for(r"\(Pdb\) ")  # it stood there before anybody attached
        window.type("answer + 1\r")
        assert "answer + 1" in window.wait_for(r"42\r\n.*\(Pdb\) ")  # echoed, evaluated
        window.type("\x1b[A")  # up: readline's history
        window.wait_for(r"answer \+ 1")
        window.type("00\r")
        window.wait_for(r"141\r\n.*\(Pdb\) ")
        window.resize(50, 132)
        window.wait_for("SIZE 132 50")
        window.type("\x03")
        window.wait_for(r"INTERRUPTED|KeyboardInterrupt")
        window.type("\r")
        window.wait_for(r"\(Pdb\) ")
        window.type("\x1d")
        window.wait_for("detached; shop goes on")
        assert window.exit_code() == 0
    assert supervising.pids() == before
    log = (supervising.paths.logs / "shop.web.log").read_bytes()
    assert b"terminal: True True True\r\n" in log  # the log has what the terminal showed
    assert b"42\r\n" in log


def test_who_attaches_again_finds_the_same_program_and_sees_where_it_stands(supervising: Supervising) -> None:
    before = debugged(supervising, terminal=True)
    for value in ("1", "2"):
        with attached(supervising, "shop.web", "--detach-key", "ctrl-a") as window:
            window.wait_for(r"ctrl-a detaches[\s\S]*\(Pdb\) ")
            window.type(f"answer = {value}\r")
            window.wait_for(r"\(Pdb\) ")
            window.type("p answer * 1000\r")
            window.wait_for(f"{value}000")
            window.type("\x01")
            assert window.exit_code() == 0
    assert supervising.pids() == before


def test_a_process_without_a_terminal_is_started_anew_with_one_after_saying_so(supervising: Supervising) -> None:
    supervising.service("shop", "web: echo ready; read line; echo got $line; exec sleep 1000\n", ready={"log": "ready"})
    supervising.service("other", "web: echo ready; exec sleep 1000\n", ready={"log": "ready"})
    supervising.supervise()
    supervising.ask("start")
    before = supervising.pids()
    with attached(supervising, "shop", "--no-restart") as window:
        window.wait_for("was started without a terminal")
        assert window.exit_code() == 1
    assert supervising.pids() == before
    with attached(supervising, "shop") as window:
        window.wait_for("shop.web has no terminal yet: it is started anew with one, the others go on")
        window.wait_for("attached to")
        window.type("hello\r")
        window.wait_for("got hello")
        window.type("\x1d")
        assert window.exit_code() == 0
    after = supervising.pids()
    assert after["other.web"] == before["other.web"]
    assert after["shop.web"] != before["shop.web"]


def test_the_end_of_the_program_ends_the_attachment_and_says_how(supervising: Supervising) -> None:
    supervising.service(
        "shop", "web: echo ready; read line; exit 7\n", ready={"log": "ready"}, terminal=True, restart="never"
    )
    supervising.supervise()
    supervising.ask("start", "shop")
    with attached(supervising, "shop") as window:
        window.wait_for("attached to")
        window.type("\r")
        window.wait_for("shop: exit code 7")
        assert window.exit_code() == 0


def test_what_cannot_be_attached_is_said(supervising: Supervising) -> None:
    supervising.service("shop", "web: sleep 1000\n")
    supervising.supervise()
    not_a_terminal = supervising.stores("attach", "shop")
    assert (not_a_terminal.returncode, "attach needs a terminal" in not_a_terminal.stderr) == (2, True)
    with attached(supervising, "shop") as window:
        window.wait_for("shop.web does not run")
        assert window.exit_code() == 3
    with attached(supervising, "shop", "--detach-key", "q") as window:
        window.wait_for("no such key")
        assert window.exit_code() == 2


def test_a_terminal_dies_with_its_supervisor_and_the_next_one_starts_its_process_anew(supervising: Supervising) -> None:
    before = debugged(supervising, terminal=True)
    supervising.kill_supervisor()
    wait_until(lambda: not alive(before["shop.web"]), "the kernel hung up")
    supervising.supervise()
    wait_until(lambda: supervising.pids().get("shop.web", before["shop.web"]) != before["shop.web"], "it runs again")
    assert supervising.pids()["other.web"] == before["other.web"]
