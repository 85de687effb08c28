"""How macOS sees processes, as far as another system can run it: what it asks psutil, not what it asks kqueue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from procman.machine import proc_macos


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(1000)"],
        stdout=subprocess.PIPE,
        env={"STORES_RUN": "mark"},
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_process_is_seen_with_its_parent_group_and_session(sleeper: subprocess.Popen[bytes]) -> None:
    seen = proc_macos.look(sleeper.pid)
    assert seen is not None
    assert (seen.ppid, seen.pgid, seen.sid) == (os.getpid(), sleeper.pid, sleeper.pid)
    assert proc_macos.look(sleeper.pid) == seen
    assert seen in list(proc_macos.everyone())


def test_a_process_that_has_ended_is_not_seen_not_even_as_a_zombie(sleeper: subprocess.Popen[bytes]) -> None:
    os.kill(sleeper.pid, signal.SIGKILL)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert proc_macos.look(sleeper.pid) is None


def test_the_tag_is_read_from_the_environment(sleeper: subprocess.Popen[bytes]) -> None:
    assert b"STORES_RUN=mark" in proc_macos.environ(sleeper.pid).split(b"\0")


def test_only_the_process_that_was_seen_is_signalled(sleeper: subprocess.Popen[bytes]) -> None:
    seen = proc_macos.look(sleeper.pid)
    assert seen is not None
    assert not proc_macos.send(sleeper.pid, seen.start + 1, signal.SIGKILL)
    assert sleeper.poll() is None
    assert proc_macos.send(sleeper.pid, seen.start, signal.SIGTERM)
    assert sleeper.wait(10) == -signal.SIGTERM


def test_the_boot_has_one_name_for_as_long_as_it_lasts() -> None:
    assert proc_macos.boot_id() == proc_macos.boot_id() != ""
