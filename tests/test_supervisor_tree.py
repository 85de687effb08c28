"""A stop ends everything that came of a process, however far it fled."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import psutil
import pytest
from supervising import Supervising, alive
from workbench import wait_until

#: Writes the PID of each to a file: the main process, its child in the group, one in a session of its own, and a daemon
#: that forked twice. All ignore SIGTERM, and all hold the service's output.
STUBBORN = """
trap '' TERM
echo $$ > pid.main
sh -c 'echo $$ > pid.group; exec sleep 1001' &
setsid sh -c 'echo $$ > pid.session; exec sleep 1002' &
setsid sh -c '(sh -c "echo \\$\\$ > pid.daemon; exec sleep 1003" &)' &
while [ ! -s pid.daemon ] || [ ! -s pid.session ] || [ ! -s pid.group ]; do sleep 0.01; done
echo ready
"""


def started(supervising: Supervising, text: str, **facts: object) -> dict[str, int]:
    supervising.program("main.sh", STUBBORN + text)
    supervising.service("shop", "web: sh main.sh\n", **{"ready": {"log": "ready"}, "restart": "never", **facts})
    supervising.supervise()
    supervising.ask("start", "shop")
    return {
        name: int((supervising.root / f"pid.{name}").read_text()) for name in ("main", "group", "session", "daemon")
    }


def test_stop_returns_only_when_the_whole_tree_is_gone_within_grace_and_a_second(supervising: Supervising) -> None:
    pids = started(supervising, "while :; do sleep 1000; done\n", grace=1.0)
    assert all(map(alive, pids.values()))
    began = time.monotonic()
    supervising.ask("stop", "shop")
    took = time.monotonic() - began
    assert not any(map(alive, pids.values()))
    assert supervising.services_left() == []
    assert 1.0 <= took < 2.0


def test_it_ends_what_holds_the_output_when_the_main_process_died_first(supervising: Supervising) -> None:
    pids = started(supervising, "while :; do sleep 1000; done\n", grace=0.3)
    os.kill(pids["main"], signal.SIGKILL)
    supervising.wait_for_states(shop="failed")
    assert supervising.services_left() == []
    assert "SIGKILL" in supervising.problem("shop")


def test_stop_ends_a_descendant_that_outlived_its_main_process_by_a_moment(supervising: Supervising) -> None:
    pids = started(supervising, "exit 0\n", grace=30.0)
    wait_until(lambda: not alive(pids["main"]))
    supervising.wait_for_states(shop="stopping")
    call = supervising.call("stop", "shop")
    for name in ("group", "session", "daemon"):
        os.kill(pids[name], signal.SIGKILL)
    assert [told["ok"][0]["state"] for told in call if "ok" in told] == ["stopped"]


def test_a_process_that_was_stopped_by_a_signal_hears_that_it_shall_end(supervising: Supervising) -> None:
    supervising.program("main.sh", "trap 'echo bye > said; exit' TERM\necho ready\nwhile :; do sleep 0.05; done\n")
    supervising.service("shop", "web: sh main.sh\n", ready={"log": "ready"})
    supervising.supervise()
    pid = supervising.ask("start", "shop")[0]["pid"]
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    supervising.ask("stop", "shop")
    assert (supervising.root / "said").read_text() == "bye\n"


@pytest.mark.parametrize("hint", ["stores run", "a shell of a service"])
def test_a_supervisor_that_was_typed_in_a_shell_of_a_service_does_not_end_itself(
    supervising: Supervising, hint: str
) -> None:
    supervising.service("shop", "web: echo ready; exec sleep 1000\n", ready={"log": "ready"})
    supervising.supervise()
    pid = supervising.ask("start", "shop")[0]["pid"]
    tag = psutil.Process(pid).environ()["STORES_RUN"]
    supervising.kill_supervisor()
    (supervising.root / "Procfile.d/shop").unlink()
    supervising.service("other", "web: sleep 1000\n")
    supervising.supervise(env={"STORES_RUN": tag} if hint != "stores run" else {})
    wait_until(lambda: not alive(pid), "what belongs to no file any more is ended")
    assert supervising.status()["pid"] == supervising.supervisor


def test_a_strangers_tag_may_be_any_bytes(supervising: Supervising) -> None:
    environ = {os.fsencode(name): os.fsencode(value) for name, value in os.environ.items()}
    supervising.service("shop", "web: echo ready; exec sleep 1000\n", ready={"log": "ready"})
    with subprocess.Popen(["sleep", "1000"], env={**environ, b"STORES_RUN": b"\xff/\xfe/x/y"}) as stranger:
        try:
            supervising.supervise()
            assert supervising.ask("start", "shop")[0]["state"] == "ready"
            assert supervising.ask("stop", "shop")[0]["state"] == "stopped"
            assert stranger.poll() is None
        finally:
            stranger.kill()
