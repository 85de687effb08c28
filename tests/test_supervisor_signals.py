"""How a run in the foreground ends: Ctrl-C at any time, twice, a closed terminal, a closed standard output."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from supervising import Supervising, alive
from workbench import wait_until

from procman import workspace
from procman.clients import supervisor

READY = {"ready": {"log": "ready"}}
STUBBORN = "web: trap '' TERM INT; echo ready; while :; do sleep 1; done\n"


def three_services(supervising: Supervising) -> None:
    for name in ("account", "shop", "other"):
        supervising.service(name, "web: echo ready; exec sleep 1000\n", **READY)
    supervising.service("shop", "web: echo ready; exec sleep 1000\n", needs=["account"], **READY)


@pytest.mark.parametrize("part", range(2))
def test_ctrl_c_at_any_millisecond_of_the_start_leaves_nothing(supervising: Supervising, part: int) -> None:
    three_services(supervising)
    whole = supervising.begin_supervisor("account", "shop", "other")
    began = time.monotonic()
    whole.wait_for("Ctrl-C ends all of it")
    length = time.monotonic() - began
    whole.signal(signal.SIGINT)
    assert whole.wait() == 130
    for step in range(part, 12, 2):
        run = supervising.begin_supervisor("account", "shop", "other")
        time.sleep(length * step / 12)  # the moment is what is tried here, nothing is waited for
        run.signal(signal.SIGINT)
        # -SIGINT: it had not begun to listen; 1: Python itself was still loading, and says so in its own way
        code = run.wait()
        python_loads = "KeyboardInterrupt" in run.text and "started" not in run.text
        assert code in {130, -signal.SIGINT} or (code == 1 and python_loads), run.text
        assert supervising.ours() == [], (step, run.text)
        assert "procman/resident/house" not in run.text  # a trace of ours (Python's own, while it loads, is not)


def test_the_first_ctrl_c_is_graceful_with_each_services_own_signal_and_grace(supervising: Supervising) -> None:
    slow = "web: trap 'sleep 0.3; echo cleaned up; exit' {}; echo ready; while :; do sleep 0.05; done\n"
    supervising.service("term", slow.format("TERM"), **READY)
    supervising.service("quit", slow.format("QUIT"), stop_signal="SIGQUIT", **READY)
    supervising.service("short", STUBBORN, grace=0.5, **READY)
    run = supervising.begin_supervisor("*")
    run.wait_for("Ctrl-C ends all of it")
    began = time.monotonic()
    run.signal(signal.SIGINT)
    assert run.wait() == 130
    assert time.monotonic() - began < 3
    assert run.text.count("cleaned up") == 2
    assert "ended by SIGKILL" in run.text
    assert supervising.ours() == []


def test_the_grace_is_5_s_unless_a_service_says_otherwise(supervising: Supervising) -> None:
    supervising.service("shop", "web: x\n")
    supervising.service("slow", "web: x\n", grace=30)
    services = workspace.load(supervising.root, {}).services
    assert {service.name: service.grace for service in services} == {"shop": 5.0, "slow": 30.0}


def test_after_the_second_ctrl_c_all_is_gone_within_a_second(supervising: Supervising) -> None:
    supervising.service("shop", STUBBORN, **READY)
    run = supervising.begin_supervisor("shop")
    run.wait_for("Ctrl-C ends all of it")
    run.signal(signal.SIGINT)
    supervising.wait_for_states(shop="stopping")
    time.sleep(0.1)  # a second press, which no wrapper's copy of the first one is
    began = time.monotonic()
    run.signal(signal.SIGINT)
    assert run.wait() == 130
    assert time.monotonic() - began < 1
    assert supervising.ours() == []


def test_sigterm_leaves_no_orphan(supervising: Supervising) -> None:
    three_services(supervising)
    run = supervising.begin_supervisor("shop")
    run.wait_for("Ctrl-C ends all of it")
    run.signal(signal.SIGTERM)
    assert run.wait() == 143
    assert supervising.ours() == []


def in_a_terminal(supervising: Supervising) -> tuple[int, int]:
    """`stores run shop` in a terminal of its own: its PID, and the terminal's other side."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(supervising.root)
        command = [sys.executable, "-P", "-m", "procman", "--workspace", str(supervising.root), "shop"]
        os.execve(sys.executable, command, supervising.env)
    shown = b""
    while b"Ctrl-C ends all of it" not in shown:
        shown += os.read(terminal, 65536)
    return pid, terminal


def exit_code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_closed_terminal_leaves_no_orphan(supervising: Supervising) -> None:
    supervising.service("shop", "web: echo ready; exec sleep 1000\n", **READY)
    pid, terminal = in_a_terminal(supervising)
    service = supervising.pids()["shop.web"]
    os.close(terminal)  # the window is closed: the kernel hangs up
    assert exit_code(pid) == 129
    assert not alive(service)
    assert supervising.ours() == []


def test_ctrl_c_typed_in_a_terminal_reaches_the_supervisor_alone(supervising: Supervising) -> None:
    text = "web: trap 'echo interrupted > interrupted' INT; echo ready; while :; do sleep 0.05; done\n"
    supervising.service("shop", text, **READY)
    pid, terminal = in_a_terminal(supervising)
    os.write(terminal, b"\x03")
    with contextlib.suppress(OSError):  # EIO: the end of a terminal
        while os.read(terminal, 65536):
            pass
    assert exit_code(pid) == 130
    os.close(terminal)
    assert not (supervising.root / "interrupted").exists()
    assert supervising.ours() == []


def test_a_closed_standard_output_never_crashes_it(supervising: Supervising) -> None:
    supervising.program("chatter.sh", "echo ready\nwhile :; do echo line; sleep 0.01; done\n")
    supervising.service("shop", "web: sh chatter.sh\n", **READY)
    reading, writing = os.pipe()
    supervising.supervise("shop", stdout=writing)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)  # as `stores run | head -1` does it
    log = supervising.paths.logs / "shop.web.log"
    size = wait_until(lambda: log.exists() and log.stat().st_size, "it logs")
    wait_until(lambda: log.stat().st_size > size + 200, "it goes on, and keeps the log")
    assert supervising.states() == {"shop": "ready"}
    supervising.ask("down")
    wait_until(lambda: supervising.ours() == [])


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_without_standard_streams_nothing_is_written_into_other_files(supervising: Supervising, closed: str) -> None:
    supervising.service("shop", "web: echo ready; exec sleep 1000\n", **READY)
    command = f'exec "{sys.executable}" -P -m procman --workspace "{supervising.root}" shop {closed}'
    process = subprocess.Popen(
        ["sh", "-c", command],
        env=supervising.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(
            lambda: (
                supervising.paths.lock.exists() and supervisor.wait_for_supervisor(supervising.paths, lambda: False, 1)
            ),
            "it answers",
        )
        supervising.wait_for_states(shop="ready")
        assert supervising.paths.lock.read_text().split() == [str(process.pid), str(supervising.paths.socket)]
        fds = {
            number: str(Path(f"/proc/{supervising.pids()['shop.web']}/fd/{number}").readlink()) for number in (0, 1, 2)
        }
        assert fds == {
            0: "/dev/null",
            1: str(supervising.paths.pipes / "shop.web"),
            2: str(supervising.paths.pipes / "shop.web"),
        }
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 143


def test_in_the_background_a_closed_terminal_means_nothing(supervising: Supervising) -> None:
    supervising.supervise()
    os.kill(supervising.supervisor, signal.SIGHUP)
    assert supervising.status()["pid"] == supervising.supervisor


def test_a_terminal_that_stands_still_stops_no_service_and_loses_no_stored_line(supervising: Supervising) -> None:
    supervising.program(
        "flood.py",
        """
        import time
        print("ready")
        for number in range(100_000):
            print("x" * 99)
        print("done", flush=True)
        time.sleep(1000)
        """,
    )
    supervising.service("shop", "web: python3 flood.py\n", **READY)
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)  # nobody reads: Ctrl-S, or a pager that waits
    supervising.supervise("shop", stdout=writing)
    log = supervising.paths.logs / "shop.web.log"
    wait_until(lambda: log.exists() and log.stat().st_size == 100_000 * 100 + len("ready\ndone\n"), "all is kept")
    os.close(reading)
    os.close(writing)
