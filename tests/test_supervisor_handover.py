"""A supervisor becomes the next one, with the code that is on the disk then, and nothing that it started notices."""

from __future__ import annotations

import http.client
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from supervising import Supervising
from whole_system import HERE, WholeSystem
from workbench import wait_until

from procman.clients import supervisor as client
from procman.clients.supervisor import Call
from procman.errors import StoresError


def hand_over(system: Supervising) -> dict[str, Any]:
    """Has it happen, and waits until the next one answers."""
    before = system.ask("hand-over")

    def after() -> Any:
        try:
            about = client.answer(system.paths, "about")
        except (StoresError, OSError):
            return None
        return about if about["life"] != before["life"] else None

    return dict(wait_until(after, "the next supervisor answers"))


@pytest.fixture
def system(tmp_path: Path) -> Iterator[WholeSystem]:
    made = WholeSystem(tmp_path)
    made.program("serve.py", HERE)
    made.service("shop", "web: exec python3 serve.py\nworker: sleep 1000\n", setup="", remote=False)
    made.service("brief", "web: echo up; exec sleep 1000\n", ready={"log": "up"}, restart="never", setup="")
    try:
        made.begin_all()
        made.ask("start")
        yield made
    finally:
        made.end()


def test_every_process_goes_on_and_the_supervisor_keeps_its_own_pid(system: WholeSystem) -> None:
    before, supervisor = system.pids(), system.supervisor
    gateway = system.status()["gateway"]
    assert len(before) == 3
    about = hand_over(system)
    assert (about["pid"], system.supervisor) == (supervisor, supervisor)
    assert Path(about["root"]) == system.root
    assert system.pids() == before
    assert system.status()["gateway"] == gateway
    assert system.get("shop").text == "here"
    assert hand_over(system)["pid"] == supervisor  # and again
    assert system.pids() == before


def test_no_request_is_refused_while_the_gateway_changes_its_code_too(system: WholeSystem) -> None:
    stop, seen = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            try:
                seen.append(system.get("shop").status)
            except (OSError, http.client.HTTPException) as error:
                seen.append(repr(error))

    old = system.status()["gateway"]["pid"]
    asking = threading.Thread(target=ask)
    asking.start()
    try:
        hand_over(system)
        system.ask("restart", "gateway")
    finally:
        stop.set()
        asking.join(30)
    assert system.status()["gateway"]["pid"] != old
    assert len(seen) > 3
    assert set(seen) == {200}


def test_how_a_process_ends_is_still_told_to_the_one_that_started_it(system: WholeSystem) -> None:
    hand_over(system)
    pid = system.pids()["brief.web"]
    os.kill(pid, signal.SIGKILL)
    brief = wait_until(lambda: (one := system.process("brief.web"))["state"] == "failed" and one, "it has failed")
    assert brief["exit"] == "ended by SIGKILL"


def test_a_debuggers_terminal_goes_on_with_its_program(system: WholeSystem) -> None:
    system.service("debugged", "web: echo ready; exec cat\n", ready={"log": "ready"}, setup="", terminal=True)
    wait_until(lambda: "debugged" in system.states(), "it is registered")
    system.ask("start", "debugged")
    before = system.pids()
    hand_over(system)
    assert system.pids() == before
    with Call(system.paths, "attach", targets=["debugged"], rows=24, columns=80) as call:
        told = iter(call)
        while "attached" not in next(told):
            pass
        call.say(keys="are you there\n")
        seen = ""
        while seen.count("are you there") < 2:  # the terminal's echo, and what cat answers
            seen += next(told).get("output", "")
    assert hand_over(system)
    assert system.pids() == before


def test_a_run_in_the_foreground_goes_on_in_its_terminal(tmp_path: Path) -> None:
    system = WholeSystem(tmp_path)
    system.service("shop", "web: echo ready; exec sleep 1000\n", ready={"log": "ready"}, setup="", remote=False)
    try:
        running = system.supervise("shop")
        running.wait_for("ready")
        wait_until(system.pids, "it runs")
        before = system.pids()
        hand_over(system)
        assert system.pids() == before
        running.signal(2)
        assert running.wait() == 130
        assert system.ours() == []
    finally:
        system.end()


def test_a_mistake_in_a_file_keeps_the_supervisor_that_has_the_last_good_state(system: WholeSystem) -> None:
    before = system.pids()
    system.service("broken", "web sleep\n")
    refused = system.refused("hand-over")
    assert refused.message.startswith("Procfile.d/broken:4: not a Procfile line")
    assert refused.hint == "Mend this, then type: stores check"
    assert system.pids() == before
    (system.root / "Procfile.d/broken").unlink()
    hand_over(system)
    assert system.pids() == before
