"""What a process begins with: three descriptors, default signals, its directory, and no shell that stays behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from supervising import Supervising
from workbench import wait_until

from procman.process import shell_words, spawn
from procman.process.spawn import Launch

LOOK = """
import json, os, resource, signal
with open("/proc/self/status") as file:
    facts = dict(line.rstrip("\\n").split(":\\t", 1) for line in file if ":\\t" in line)
json.dump({
    "fds": {name: os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")
            if os.path.exists(f"/proc/self/fd/{name}")},
    "ignored": int(facts["SigIgn"], 16), "blocked": int(facts["SigBlk"], 16),
    "cwd": os.getcwd(), "pwd": os.environ["PWD"], "sid": os.getsid(0), "pid": os.getpid(),
    "nofile": resource.getrlimit(resource.RLIMIT_NOFILE)[0], "make": os.environ.get("MAKEFLAGS"),
}, open("facts.json", "w"))
print("ready", flush=True)
import time; time.sleep(1000)
"""

#: Python itself ignores the first two when it starts; the others are glibc's own, which its posix_spawn ignores.
_OF_OTHERS = sum(1 << (number - 1) for number in (signal.SIGPIPE, signal.SIGXFSZ, 32, 33))


def facts(supervising: Supervising, folder: str) -> dict[str, object]:
    found = json.loads((supervising.root / folder / "facts.json").read_text())
    assert isinstance(found, dict)
    return found


def test_children_inherit_only_descriptors_0_to_2_default_signals_and_the_declared_directory(
    supervising: Supervising,
) -> None:
    (supervising.root / "with space").mkdir()
    supervising.program("with space/look.py", LOOK)
    supervising.service("shop", f"web: {sys.executable} look.py\n", dir="with space", ready={"log": "ready"})
    extra = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(extra, True)
    arguments = [sys.executable, "-P", "-m", "procman", "--workspace", str(supervising.root), "shop"]
    run = subprocess.Popen(  # from a parent that ignores signals and lowers limits, as nohup and editors do
        ["sh", "-c", 'trap "" HUP QUIT USR1; ulimit -Sn 300; exec "$@"', "sh", *arguments],
        env=supervising.env,
        pass_fds=[extra],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        found = wait_until(lambda: (supervising.root / "with space/facts.json").exists() and _whole(supervising))
        assert set(found["fds"]) - {"3"} == {"0", "1", "2"}  # 3 is the one with which it looks
        assert found["fds"]["0"] == "/dev/null"
        assert found["ignored"] & ~_OF_OTHERS == 0
        assert found["blocked"] == 0
        assert found["cwd"] == found["pwd"] == str(supervising.root / "with space")
        assert found["sid"] == found["pid"]
        assert found["nofile"] == 300
    finally:
        run.send_signal(signal.SIGTERM)
        run.wait(20)
        os.close(extra)


def _whole(supervising: Supervising) -> dict[str, object] | None:
    try:
        return facts(supervising, "with space")
    except ValueError:
        return None  # it is just being written


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_a_job_server_of_make_is_not_passed_on(supervising: Supervising) -> None:
    supervising.program("look.py", LOOK)
    supervising.service("shop", f"web: {sys.executable} look.py\n", ready={"log": "ready"})
    command = f'+"{sys.executable}" -P -m procman --workspace "{supervising.root}" shop'
    (supervising.root / "Makefile").write_text(f"run:\n\t{command}\n")
    make = subprocess.Popen(
        ["make", "-j4", "run"],
        cwd=supervising.root,
        env=supervising.env,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(supervising.paths.socket.exists, "it listens")
        supervising.wait_for_states(shop="ready")
        found = facts(supervising, ".")
        assert isinstance(found["fds"], dict)
        assert set(found["fds"]) - {"3"} == {"0", "1", "2"}
        assert found["make"] is None
    finally:
        supervising.ask("down")
        make.wait(20)
    assert supervising.ours() == []


SH = {
    "echo 'single  quotes' \"double $X\"": "single  quotes double x y",
    "true && echo and": "and",
    "false || echo or": "or",
    "echo a b | tr a-z A-Z": "A B",
    "echo one; echo two": "one\ntwo",
    "(echo sub; echo shell) | wc -l": "2",
    "V='v w' sh -c 'echo \"$V;\"'": "v w;",
    "echo ${X:-none} $(echo inner; echo more)": "x y inner more",
    'echo "a ; b | c && d"': "a ; b | c && d",
    "echo to stderr >&2": "to stderr",
    "cd / && pwd": "/",
    "if true; then echo yes; fi": "yes",
    "echo back\\;slash": "back;slash",
    "echo hash # comment": "hash",
    "for i in 1 2; do echo $i; done": "1\n2",
    "exit 0": "",
    "echo *.glob": "one.glob two.glob",
    "echo ~ | grep -c /": "1",
    "exec echo itself": "itself",
    "X=1; echo $X": "1",
    "echo é ü 日本": "é ü 日本",
}


def test_operators_pipes_and_quotes_are_those_of_sh(supervising: Supervising) -> None:
    for name in ("one.glob", "two.glob"):
        (supervising.root / name).touch()
    lines = "".join(f"p{number}: {command}\n" for number, command in enumerate(SH))
    supervising.service("shop", lines, env={"X": "x y"}, restart="never")
    supervising.supervise()
    supervising.ask("start")
    wait_until(lambda: supervising.states()["shop"] == "exited", "all have ended")
    for number, expected in enumerate(SH.values()):
        assert (supervising.paths.logs / f"shop.p{number}.log").read_text().rstrip("\n") == expected


@pytest.mark.parametrize(
    "command",
    [
        "sleep 1000",
        "A=1 B='2 3' sleep 1000",
        f"{sys.executable} -c 'import time; time.sleep(1000)'",
        "sleep 1000 > out 2>&1",
        "sleep ${NONE:-1000}",
        "sleep $(echo 1; echo 000 >/dev/null)000",
        "sh -c 'sleep 999; true'",
        "exec sleep 1000",
    ],
)
def test_no_shell_stays_behind_for_a_simple_command(tmp_path: Path, command: str) -> None:
    output = os.open(os.devnull, os.O_WRONLY)
    pid = spawn.start(Launch(command, tmp_path, dict(os.environ)), output)
    os.close(output)
    try:
        expected = command.split("'")[1] if command.startswith("sh -c") else None
        wait_until(lambda: psutil.Process(pid).cmdline()[:1] not in (["/bin/sh"], []), command)
        line = psutil.Process(pid).cmdline()
        assert line[0] in {"sleep", sys.executable} if expected is None else line == ["sh", "-c", expected]
    finally:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.parametrize(
    "command",
    [
        "a && b",
        "a; b",
        "a | b",
        "a &",
        "(a)",
        "cd x",
        "exit 3",
        "if a; then b; fi",
        "A=1",
        "",
        "# a",
        "a 'b",
        "! a",
        "a\nb",
        ". ./env",
        "{ a; }",
        "a # b",
        "while a; do b; done",
        "wait",
    ],
)
def test_what_only_a_shell_can_do_is_left_to_it(command: str) -> None:
    assert shell_words.split(command) is None


def test_a_folder_that_cannot_be_entered_ends_with_126(tmp_path: Path) -> None:
    output = os.open(os.devnull, os.O_WRONLY)
    pid = spawn.start(Launch("sleep 1000", tmp_path / "missing", dict(os.environ)), output)
    os.close(output)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 126


def test_orphans_of_services_are_collected_and_children_of_others_are_left_to_them(supervising: Supervising) -> None:
    supervising.service("shop", "web: echo ready; exec sleep 1000\n", ready={"log": "ready"})
    supervising.program("fork.sh", "setsid sh -c 'sleep 0.1 &'\necho ready\nexec sleep 1000\n")
    supervising.service("forks", "web: sh fork.sh\n", ready={"log": "ready"})
    supervising.supervise()
    supervising.ask("start")
    supervisor = psutil.Process(supervising.supervisor)

    def zombies() -> list[psutil.Process]:
        return [child for child in supervisor.children() if child.status() == psutil.STATUS_ZOMBIE]

    wait_until(lambda: not zombies() and len(supervisor.children()) == 3, "orphans are collected")
