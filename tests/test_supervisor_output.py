"""Output of every kind reaches the terminal and the log: fast, in time, whole, and without hurting the others'."""

from __future__ import annotations

import json
import os
import random
import resource
import time
from pathlib import Path

from supervising import Supervising
from workbench import Running, wait_until

READY = {"ready": {"log": "ready"}}
FLOOD = """
import os, sys, time
print("ready", flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
began = time.time()
chunk = (b"x" * 99 + b"\\n") * 1000
for _ in range(int(sys.argv[1]) // 1000):
    os.write(1, chunk)
os.write(1, b"done %.3f\\n" % (time.time() - began))
time.sleep(1000)
"""


TICK = """
import time
print("ready", flush=True)
while True:
    print("tick %.6f" % time.time(), flush=True)
    time.sleep(0.05)
"""
COUNT = """
import itertools, sys, time
for number in itertools.count():
    print(number, flush=True)
    time.sleep(float(sys.argv[1]))
"""


def rss(pid: int) -> float:
    """MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Reader:
    """Reads a run's output as a terminal does: at once, and all. Counts the flood, and how late each tick is."""

    def __init__(self, run: Running) -> None:
        self.run = run
        self.flood = 0
        self.delays: list[float] = []
        self.done = ""
        self._rest = b""

    def read(self) -> None:
        self.run.read(1.0)
        *whole, self._rest = (self._rest + self.run.output).split(b"\n")
        self.run.output = b""
        now = time.time()
        for line in whole:
            self.flood += line.endswith(b"x" * 99)
            if b"| tick " in line:
                self.delays.append(now - float(line.rpartition(b" ")[2]))
            elif b"| done " in line:
                self.done = line.partition(b"| ")[2].decode()


def test_a_million_lines_pass_within_3_s_and_30_mb_and_none_is_lost_nor_anothers_line_held_up(
    supervising: Supervising,
) -> None:
    supervising.program("flood.py", FLOOD)
    supervising.service("flood", "web: python3 flood.py 1000000\n", **READY)
    supervising.program("tick.py", TICK)
    supervising.service("tick", "web: python3 tick.py\n", **READY)
    run = supervising.begin_supervisor("*")
    run.wait_for("Ctrl-C ends all of it")
    reader, most = Reader(run), 0.0
    (supervising.root / "go").touch()
    began = time.monotonic()
    while not reader.done:
        reader.read()
        most = max(most, rss(supervising.supervisor))
    took = time.monotonic() - began
    assert reader.flood == 1_000_000
    stored = sum(path.stat().st_size for path in supervising.paths.logs.glob("flood.web.log*"))
    assert stored == 1_000_000 * 100 + len(f"ready\n{reader.done}\n")
    # the bounds are 3 s, 30 MB and 0.1 s. The bench holds them; here other tests share the two cores, and the
    # reader is a Python program that looks at each line
    assert took < 3 * 5
    assert most < 30 * 1.2
    assert sorted(reader.delays)[len(reader.delays) // 2] < 0.1


def test_a_partial_line_appears_within_half_a_second_and_a_final_one_without_newline_is_kept(
    supervising: Supervising,
) -> None:
    supervising.program(
        "ask.sh",
        "echo ready\nprintf 'Your name? '\nuntil [ -e name ]; do sleep 0.02; done\nprintf 'the end'\nexit 3\n",
    )
    supervising.service("shop", "web: sh ask.sh\n", restart="never", **READY)
    run = supervising.begin_supervisor("shop")
    run.wait_for("ready")
    began = time.monotonic()
    run.wait_for("| Your name? \n")
    assert time.monotonic() - began < 0.5
    (supervising.root / "name").touch()
    assert run.wait() == 3
    assert "| the end\n" in run.text
    assert (supervising.paths.logs / "shop.web.log").read_bytes() == b"ready\nYour name? the end"


STRANGE = b"".join(
    [
        b"bad utf-8: \xff\xfe\xc3(\n",
        b"a NUL: [\x00]\n",
        b"\x1b[2J\x1b[H\x1b[3Jcleared\n",
        b"\x1bcreset\x1b[?1049h\x1b]0;title\x07\n",
        b"\x1b[31mred\n",
        b"10%\r20%\r100%\n",
        b"windows\r\n",
        b"\n",
        bytes(range(256)) + b"\n",
        b"L" * 10_000_000 + b"\n",
        random.Random(2).randbytes(200_000) + b"\n",
        b"the end\n",
    ]
)


def test_no_kind_of_bytes_crashes_it_or_wipes_the_others_output_and_the_log_is_byte_exact(
    supervising: Supervising,
) -> None:
    (supervising.root / "strange").write_bytes(STRANGE)
    supervising.service("strange", "web: cat strange; exec sleep 1000\n", ready={"log": "the end"})
    with (supervising.root / "shown").open("wb") as file:
        supervising.supervise("strange", stdout=file)
    supervising.wait_for_states(strange="ready")
    assert (supervising.paths.logs / "strange.web.log").read_bytes() == STRANGE
    wait_until(lambda: b"Ctrl-C ends" in (supervising.root / "shown").read_bytes()[-1000:], "all is shown")
    shown = (supervising.root / "shown").read_bytes()
    for gone in (b"\x1b[2J", b"\x1b[H", b"\x1b[3J", b"\x1bc", b"\x1b[?1049h", b"\x1b]0;", b"\x00", b"10%"):
        assert gone not in shown.partition(b"windows")[0]
    assert b"| cleared\n" in shown
    assert b"| \x1b[31mred\x1b[0m\n" in shown
    assert b"| 100%\n" in shown
    assert b"| windows\n" in shown
    assert b"| the end\n" in shown
    assert shown.count(b"L") >= 10_000_000
    assert b"bad utf-8: \xff\xfe\xc3(" in shown


def test_logs_outlive_the_supervisor_and_are_merged_by_time(supervising: Supervising) -> None:
    supervising.service("one", "web: echo from one; exec sleep 1000\n", ready={"log": "one"})
    supervising.service("two", "web: echo from two; exec sleep 1000\n", ready={"log": "two"}, needs=["one"])
    supervising.supervise()
    supervising.ask("start", "two")
    assert [line[9:] for line in supervising.ok("logs", "one", "two").splitlines()] == [
        "one.web | from one",
        "two.web | from two",
    ]
    supervising.ask("down")
    wait_until(lambda: supervising.ours() == [])
    stored = [json.loads(line) for line in supervising.ok("logs", "--json", "-n", "1").splitlines()]
    assert [line["text"] for line in stored if line["name"] != "gateway"] == ["from one", "from two"]


def test_who_follows_gets_each_line_once_the_stored_and_the_new(supervising: Supervising) -> None:
    supervising.program("count.py", COUNT)
    supervising.service("count", "web: python3 count.py 0.001\n", ready={"log": "^50$"})
    supervising.supervise()
    supervising.ask("start", "count")
    follow = supervising.begin("logs", "-f", "-n", "20", "count")
    wait_until(lambda: follow.read(0.1) and follow.text.count("\n") > 500, "lines are followed")
    numbers = [int(line.rpartition(" ")[2]) for line in follow.text.split("\n")[:-1] if "|" in line]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_what_cannot_be_logged_is_said_once_and_the_service_goes_on(supervising: Supervising) -> None:
    supervising.program("count.py", COUNT)
    supervising.service("count", "web: python3 count.py 0.01\n", ready={"log": "^1$"})
    run = supervising.supervise()
    supervising.ask("start", "count")
    pid = supervising.supervisor
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (10, before[1]))  # as on a full disk: every write fails
    run.wait_for("the log is not kept: File too large")
    assert supervising.states() == {"count": "ready"}
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    run.wait_for("the log is kept again")
    assert run.text.count("the log is not kept") == 1


def test_without_a_free_descriptor_a_start_fails_with_its_reason_and_nothing_else_does(
    supervising: Supervising,
) -> None:
    supervising.service("shop", "web: echo ready; exec sleep 1000\n", **READY)
    supervising.service("other", "web: echo ready; exec sleep 1000\n", **READY)
    supervising.supervise()
    supervising.ask("start", "other")
    before = supervising.pids()
    pid = supervising.supervisor
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 1, limits[1]))  # one: for the connection that asks
    assert "Too many open files" in supervising.refused("start", "shop").message
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    assert supervising.ask("start", "shop")[0]["state"] == "ready"
    assert supervising.pids()["other.web"] == before["other.web"]
