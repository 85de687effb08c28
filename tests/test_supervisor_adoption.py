"""What happens when the supervisor is killed: nothing is lost, nothing is left, and no stranger is touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from supervising import Supervising, alive, environ_of
from workbench import Site, wait_until

from procman.resident import lock

SLEEPER = "web: sleep 1000\n"
AT_ONCE = {"ready": {"log": "ready"}}


def sleeper(
    supervising: Supervising, name: str, text: str = "web: echo ready; exec sleep 1000\n", **facts: object
) -> None:
    supervising.service(name, text, **{**AT_ONCE, **facts})


def logged(supervising: Supervising, name: str) -> list[str]:
    return (supervising.paths.logs / f"{name}.log").read_text().splitlines()


def test_after_a_kill_the_next_start_adopts_every_process_with_its_pid_its_logs_and_its_restart(
    supervising: Supervising,
) -> None:
    supervising.program(
        "clock.py", "import itertools, time\nfor n in itertools.count():\n    print(n)\n    time.sleep(0.05)\n"
    )
    supervising.service("clock", "web: python3 clock.py\n", ready={"log": "0"})
    sleeper(supervising, "shop", "web: echo ready; exec sleep 1000\nworker: sleep 1001\n")
    supervising.supervise()
    supervising.ask("start")
    wait_until(lambda: supervising.status()["gateway"]["state"] == "ready", "the gateway is ready")
    before, gateway = supervising.pids(), supervising.status()["gateway"]
    assert len(before) == 3
    supervising.kill_supervisor()
    seen = len(logged(supervising, "clock.web"))
    supervising.supervise()
    assert supervising.pids() == before
    assert supervising.status()["gateway"] == gateway  # its PID and its ports
    wait_until(lambda: len(logged(supervising, "clock.web")) > seen + 10, "the log goes on")
    lines = logged(supervising, "clock.web")
    assert lines[:-1] == [str(number) for number in range(len(lines) - 1)]
    assert supervising.ask("restart", "shop.web")[0]["pid"] != before["shop.web"]
    assert {name: pid for name, pid in supervising.pids().items() if name != "shop.web"} == {
        name: pid for name, pid in before.items() if name != "shop.web"
    }
    assert not alive(before["shop.web"])


def test_a_process_whose_definition_changed_in_the_gap_is_ended_and_started_by_its_new_one(
    supervising: Supervising,
) -> None:
    for name in ("changed", "removed", "kept"):
        sleeper(supervising, name)
    supervising.supervise()
    supervising.ask("start")
    before = supervising.pids()
    supervising.kill_supervisor()
    sleeper(supervising, "changed", "web: echo ready; exec sleep 2000\n")
    (supervising.root / "Procfile.d/removed").unlink()
    supervising.supervise()
    wait_until(lambda: set(supervising.pids()) == {"changed.web", "kept.web"} and not alive(before["removed.web"]))
    wait_until(lambda: supervising.pids().get("changed.web", before["changed.web"]) != before["changed.web"])
    assert supervising.pids()["kept.web"] == before["kept.web"]
    assert not alive(before["changed.web"])
    assert psutil.Process(supervising.pids()["changed.web"]).cmdline() == ["sleep", "2000"]


def test_without_its_ledger_it_still_knows_what_is_its_own(supervising: Supervising) -> None:
    sleeper(supervising, "shop")
    supervising.supervise()
    supervising.ask("start")
    before = supervising.pids()
    supervising.kill_supervisor()
    supervising.paths.ledger.write_text("{ torn")
    supervising.supervise()
    assert supervising.pids() == before


def test_what_was_stopped_starting_paused_or_failed_at_the_kill_is_what_a_user_would_expect(
    supervising: Supervising,
) -> None:
    supervising.program("stay", "")
    sleeper(supervising, "stopping", "web: trap '' TERM; echo ready; while :; do sleep 1; done\n", grace=60)
    supervising.service("paused", "web: test -e mended && exec sleep 1000; exit 3\n", ready={"log": "never"})
    supervising.service("failed", "web: exit 4\n", restart="never")
    supervising.service("starting", "web: sleep 1000\n", ready={"log": "never"})
    supervising.service("waiting", "web: sleep 1000\n", needs=["starting"])
    supervising.service("exited", "web: exit 0\n")
    supervising.supervise()
    supervising.ask("start", "stopping")
    for name in ("paused", "failed", "waiting", "exited"):
        supervising.call("start", name)
    supervising.wait_for_states(
        paused="backoff", failed="failed", starting="starting", exited="exited", waiting="queued"
    )
    stubborn, starting = supervising.pids()["stopping.web"], supervising.pids()["starting.web"]
    supervising.call("stop", "stopping")
    supervising.wait_for_states(stopping="stopping")
    (supervising.root / "mended").touch()
    supervising.kill_supervisor()
    supervising.service("stopping", "web: sleep 1\n", grace=0.2)
    supervising.supervise()
    supervising.wait_for_states(
        stopping="stopped", paused="starting", failed="failed", starting="starting", waiting="queued", exited="exited"
    )
    assert not alive(stubborn)
    assert supervising.pids()["starting.web"] == starting
    assert "exit code 4" in supervising.problem("failed")


def test_what_a_dead_main_process_left_in_the_gap_is_ended_before_it_starts_again(supervising: Supervising) -> None:
    supervising.program("fork.sh", "setsid sh -c 'echo $$ > flown; exec sleep 1000' &\necho ready\nexec sleep 1001\n")
    sleeper(supervising, "shop", "web: sh fork.sh\n")
    supervising.supervise()
    supervising.ask("start", "shop")
    flown = int(wait_until(lambda: (supervising.root / "flown").exists() and (supervising.root / "flown").read_text()))
    main = supervising.pids()["shop.web"]
    supervising.kill_supervisor()
    os.kill(main, signal.SIGKILL)
    wait_until(lambda: not alive(main))
    supervising.supervise()
    wait_until(lambda: supervising.pids().get("shop.web", main) != main, "it runs again")
    assert not alive(flown)


@pytest.mark.parametrize("boot", ["this", "another"])
def test_it_never_signals_a_stranger_that_has_the_pid_of_what_it_had_started(
    supervising: Supervising, boot: str
) -> None:
    sleeper(supervising, "shop")
    supervising.supervise()
    supervising.ask("start")
    ours = supervising.pids()["shop.web"]
    supervising.kill_supervisor()
    os.kill(ours, signal.SIGKILL)
    wait_until(lambda: not alive(ours))
    clean = {key: value for key, value in os.environ.items() if not key.startswith("STORES_")}
    # a leader with its session, and a session whose leader has gone: what a terminal leaves behind
    leader = subprocess.Popen(["sleep", "1000"], start_new_session=True, env=clean)
    gone = subprocess.Popen(
        ["sh", "-c", "sleep 1001 & echo $!"], start_new_session=True, env=clean, stdout=subprocess.PIPE
    )
    assert gone.stdout
    orphan = int(gone.stdout.readline())
    gone.stdout.close()
    gone.wait()
    try:
        for stranger in (leader.pid, gone.pid):
            value = json.loads(supervising.paths.ledger.read_text())
            entry = value["processes"].setdefault(
                "shop.web", {"tag": "x/shop.web/x/x", "definition": "", "restarts": 0}
            )
            entry |= {"pid": stranger, "since": time.time()}
            entry["start"] = _start(stranger) if boot == "another" and alive(stranger) else 12345
            value["boot"] = "another" if boot == "another" else value["boot"]
            supervising.paths.ledger.write_text(json.dumps(value))
            supervising.supervise()
            supervising.ask("start", "shop")
            assert supervising.pids()["shop.web"] != stranger
            supervising.ask("stop", "shop")
            supervising.kill_supervisor()
            assert alive(leader.pid)
            assert alive(orphan)
    finally:
        leader.kill()
        leader.wait()
        os.kill(orphan, signal.SIGKILL)


def _start(pid: int) -> int:
    text = Path(f"/proc/{pid}/stat").read_text()
    return int(text[text.rindex(")") + 2 :].split()[19])


def test_across_the_gap_no_child_gets_sigpipe_and_no_line_is_lost(supervising: Supervising) -> None:
    supervising.program(
        "writer.py",
        """
        import os, time
        def burst(name, first):
            while not os.path.exists(name):
                time.sleep(0.01)
            for number in range(first, first + 600):   # 600 lines of 100 bytes: nearly 64 KiB
                os.write(1, b"%099d\\n" % number)
        print("ready", flush=True)
        burst("gap", 0)
        os.rename("gap", "written")
        burst("after", 600)
        time.sleep(1000)
        """,
    )
    sleeper(supervising, "writer", "web: python3 writer.py\n")
    supervising.supervise()
    supervising.ask("start")
    before = supervising.pids()
    supervising.kill_supervisor()
    (supervising.root / "gap").touch()
    wait_until((supervising.root / "written").exists, "the child has written while nobody read")
    supervising.supervise()
    assert supervising.pids() == before
    (supervising.root / "after").touch()
    wait_until(lambda: len(logged(supervising, "writer.web")) == 1201, "all lines are there")
    assert logged(supervising, "writer.web")[1:] == [f"{number:099d}" for number in range(1200)]


def test_a_second_supervisor_is_refused_and_a_stale_socket_or_lock_never_needs_a_hand(supervising: Supervising) -> None:
    supervising.supervise()
    pid = supervising.supervisor
    for targets in ((), ("*",)):
        second = supervising.begin_supervisor(*targets)
        assert second.wait() == 1
        assert f"PID {pid}" in second.text
    supervising.kill_supervisor()
    assert supervising.paths.socket.exists()
    assert supervising.stores("status").returncode == 3
    assert "The supervisor was killed" in supervising.stores("restart").stderr
    supervising.paths.lock.write_text("1\n/nowhere\n")  # the PID of a process that surely lives
    supervising.supervise()
    assert supervising.supervisor != 1
    assert supervising.status()["pid"] == supervising.supervisor


def test_of_two_that_are_started_at_once_one_supervises_and_both_commands_succeed(site: Site) -> None:
    site.service("shop", "web: echo ready; exec sleep 1000\n", ready={"log": "ready"})
    both = [site.begin("up", "-d") for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0], [one.text for one in both]
    main = [process for process in site.ours() if process.cmdline()[:1] == ["sleep"]]
    assert len(main) == 1
    both = [site.begin("down") for _ in range(2)]
    assert sorted(one.wait() for one in both) in ([0, 0], [0, 3]), [one.text for one in both]
    assert site.ours() == []


def test_killed_at_any_moment_of_a_start_it_leaves_nothing_that_the_next_one_does_not_know(
    supervising: Supervising,
) -> None:
    for number in range(4):
        sleeper(supervising, f"shop{number}")
    names = [f"shop{number}" for number in range(4)]
    for step in range(6):
        supervising.supervise()
        supervising.call("start", *names)
        time.sleep(step * 0.012)  # the moment of the kill is what is tried here, nothing is waited for
        supervising.kill_supervisor()
    supervising.supervise()
    supervising.ask("start", *names)
    known = sorted(supervising.pids().values())
    assert len(known) == len(names)
    # one that says that it is ready and then becomes `sleep` has no environment to be known by for that moment
    wait_until(lambda: sorted(process.pid for process in supervising.services_left()) == known, "it knows them all")
    assert Counter(environ_of(process).get("STORES_SERVICE") for process in supervising.services_left()) == Counter(
        names
    )
    supervising.ask("down")
    wait_until(lambda: supervising.ours() == [], "nothing is left")


def test_a_full_disk_refuses_a_start_with_its_advice(supervising: Supervising) -> None:
    supervising.service("shop", "web: true\n")
    supervising.paths.make()
    supervising.paths.lock.symlink_to("/dev/full")  # the system's own full disk: full(4)
    done = supervising.stores("run", "shop")
    assert done.returncode == 1
    assert f"Cannot write {supervising.paths.lock}: No space left on device" in done.stderr
    assert f"df {supervising.paths.state}" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_command_that_cannot_reach_what_runs_does_not_say_that_nothing_runs(supervising: Supervising) -> None:
    supervising.paths.make()
    held = lock.take(supervising.paths)  # and nobody listens
    error = supervising.refused("restart", "shop")
    assert error.message == f"The supervisor, PID {os.getpid()}, does not answer"
    assert "supervisor.log" in error.hint
    os.close(held)
    assert supervising.refused("restart", "shop").exit_code == 3
