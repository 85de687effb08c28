"""The control socket: nobody who asks badly, slowly or twice hurts what runs."""

from __future__ import annotations

import json
import shutil
import socket
import stat
import threading

import pytest
from supervising import Supervising
from workbench import wait_until

from procman.errors import StoresError


def connect(supervising: Supervising) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(str(supervising.paths.socket))
    return connection


def one_service(supervising: Supervising) -> None:
    supervising.service("shop", "web: echo ready; exec sleep 1000\n", ready={"log": "ready"})
    supervising.supervise()


def test_only_its_owner_may_open_the_socket(supervising: Supervising) -> None:
    one_service(supervising)
    assert stat.S_IMODE(supervising.paths.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(supervising.paths.socket.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(supervising.paths.lock.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b'{"verb": "sta',
        b"\n",
        b"[]\n",
        b"5\n",
        b"not json\n",
        b'{"verb": "start", "targets": 5}\n',
        b"x" * 2_000_000,
        b"[" * 900_000 + b"\n",
    ],
)
def test_who_asks_badly_is_let_go_and_the_others_are_answered(supervising: Supervising, said: bytes) -> None:
    one_service(supervising)
    silent = connect(supervising)  # connects, and never says a word
    with connect(supervising) as bad:
        try:
            bad.sendall(said)
            bad.shutdown(socket.SHUT_WR)
            assert bad.recv(10) == b""
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was let go while it still talked
    assert supervising.ask("start", "shop")[0]["state"] == "ready"
    run = supervising.commands[-1]
    supervising.ask("down")
    assert run.wait() == 0
    silent.close()
    assert "fault" not in run.text
    assert "Traceback" not in run.text


def test_advice_of_any_characters_is_kept(supervising: Supervising) -> None:
    one_service(supervising)
    supervising.ask("start", "shop")
    assert supervising.ask("advise", "shop", advice="half a pair: \ud800") is True
    assert "half a pair" in supervising.ok("logs", "shop")


def test_an_unknown_verb_and_an_unknown_name_are_said(supervising: Supervising) -> None:
    one_service(supervising)
    assert "does not know the verb 'dance'" in supervising.refused("dance").message
    error = supervising.refused("start", "shpo")
    assert error.exit_code == 4
    assert "shop" in error.message


def test_a_fault_of_its_own_is_said_once_and_ends_nothing(supervising: Supervising) -> None:
    one_service(supervising)
    error = supervising.refused("logs", "shop", n="many")
    assert "A fault of stores itself" in error.message
    assert supervising.ask("start", "shop")[0]["state"] == "ready"
    run = supervising.commands[-1]
    run.wait_for("invalid literal for int()")
    assert run.text.count("a fault of stores itself") == 1


def test_down_twice_at_once_ends_it_once(supervising: Supervising) -> None:
    supervising.service(
        "shop", "web: trap '' TERM; echo ready; while :; do sleep 1; done\n", ready={"log": "ready"}, grace=0.5
    )
    run = supervising.supervise()
    supervising.ask("start", "shop")
    answers: list[object] = []

    def down() -> None:
        try:
            answers.append(supervising.ask("down"))
        except StoresError as error:
            answers.append(error.message)

    threads = [threading.Thread(target=down) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert run.wait() == 0
    assert [type(answer) for answer in answers] == [list, list], answers
    assert supervising.ours() == []


def test_a_start_during_the_end_is_refused_and_leaves_nothing(supervising: Supervising) -> None:
    supervising.service(
        "slow", "web: trap '' TERM; echo ready; while :; do sleep 1; done\n", ready={"log": "ready"}, grace=0.7
    )
    supervising.service("shop", "web: touch started; echo ready; exec sleep 1000\n", ready={"log": "ready"})
    run = supervising.supervise()
    supervising.ask("start", "slow")
    down = supervising.call("down")
    supervising.wait_for_states(slow="stopping")
    for verb in ("start", "restart"):
        assert "just ending" in supervising.refused(verb, "shop").message
    assert any("ok" in line for line in down)
    assert run.wait() == 0
    assert supervising.ours() == []
    assert not (supervising.root / "started").exists()


def test_who_leaves_while_his_start_goes_on_stops_nothing(supervising: Supervising) -> None:
    supervising.service(
        "shop", "web: until [ -e go ]; do sleep 0.02; done; echo ready; sleep 1000\n", ready={"log": "ready"}
    )
    supervising.supervise()
    call = supervising.call("start", "shop")
    supervising.wait_for_states(shop="starting")
    call.__exit__(None, None, None)
    (supervising.root / "go").touch()
    supervising.wait_for_states(shop="ready")


def test_a_joined_run_stops_what_it_started_and_nothing_else(supervising: Supervising) -> None:
    for name in ("first", "second"):
        supervising.service(name, f"web: echo hello from {name}; exec sleep 1000\n", ready={"log": "hello"})
    supervising.supervise()
    supervising.ask("start", "first")
    call = supervising.call("run", "first", "second")
    supervising.wait_for_states(second="ready")
    call.leave()
    told = list(call)
    assert {"at", "name", "text"} == set(next(line["line"] for line in told if "line" in line))
    assert supervising.states() == {"first": "ready", "second": "stopped"}


def test_who_watches_misses_no_last_state(supervising: Supervising) -> None:
    one_service(supervising)
    with connect(supervising) as watching, watching.makefile("rb") as lines:
        watching.sendall(b'{"verb": "watch"}\n')
        for verb in ("start", "restart", "stop", "start", "stop"):
            supervising.ask(verb, "shop")
            wanted = "stopped" if verb == "stop" else "ready"
            while json.loads(lines.readline())["snapshot"]["services"][0]["state"] != wanted:
                pass


def test_it_finds_the_supervisor_that_was_started_with_another_runtime_folder(supervising: Supervising) -> None:
    one_service(supervising)
    pid = supervising.supervisor
    supervising.env["XDG_RUNTIME_DIR"] = str(supervising.runtime / "other")  # as in a cron job, or after su
    assert json.loads(supervising.stores("status", "--json").stdout)["pid"] == pid
    second = supervising.begin_supervisor("shop")
    assert second.wait() == 1
    assert f"PID {pid}" in second.text


@pytest.mark.parametrize("what", ["the socket", "its folder", "the folder above"])
def test_a_supervisor_whose_socket_was_removed_is_reached_again(supervising: Supervising, what: str) -> None:
    one_service(supervising)
    pid = supervising.ask("start", "shop")[0]["pid"]
    follower = supervising.call("watch")
    if what == "the socket":
        supervising.paths.socket.unlink()
    else:
        folder = supervising.paths.runtime if what == "its folder" else supervising.paths.runtime.parent
        folder.rename(folder.with_name("gone"))  # at once: in a folder that is being emptied it would listen again
        shutil.rmtree(folder.with_name("gone"))
    run = supervising.commands[-1]
    run.wait_for("was removed, and is there again")
    assert supervising.pids() == {"shop.web": pid}
    assert stat.S_IMODE(supervising.paths.socket.stat().st_mode) == 0o600
    assert "snapshot" in next(iter(follower))  # who was connected before still is
    supervising.paths.socket.unlink()  # and another time
    wait_until(lambda: run.read() and run.text.count("is there again") == 2, "it listens again")
    assert supervising.ask("restart", "shop")[0]["state"] == "ready"
    supervising.ask("down")
    assert run.wait() == 0
    assert not supervising.paths.socket.exists()
