"""Who starts when: after what it needs, not all at once, and first who is waited for."""

from __future__ import annotations

import asyncio

import pytest
from supervising import Supervising
from workbench import wait_until

from procman.process.start_queue import SCARCE, StartQueue

HTTP = """
import http.server, os, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if os.path.exists("healthy") else 503)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


LATE = "until [ -e healthy ]; do sleep 0.02; done"


@pytest.mark.parametrize("kind", ["port", "path", "log"])
def test_needs_start_after_readiness(supervising: Supervising, kind: str) -> None:
    supervising.program("web.py", HTTP)
    commands = {
        "port": (f"web: {LATE}; exec python3 web.py\n", {}),
        "path": ("web: exec python3 web.py\n", {"ready": "/healthz"}),
        "log": (f"web: {LATE}; echo Listening on 1; sleep 1000\n", {"ready": {"log": "^Listening"}}),
    }
    text, facts = commands[kind]
    supervising.service("account", text, **facts)
    text = "web: test -e healthy && echo after; echo ready; exec sleep 1000\n"
    supervising.service("shop", text, needs=["account"], ready={"log": "ready"})
    supervising.supervise()
    call = supervising.call("start", "shop")
    supervising.wait_for_states(account="starting", shop="queued")
    (supervising.root / "healthy").touch()
    told = [(line["state"]["name"], line["state"]["state"]) for line in call if "state" in line]
    assert told.index(("account.web", "ready")) < told.index(("shop.web", "ready"))
    assert (supervising.paths.logs / "shop.web.log").read_text() == "after\nready\n"
    assert supervising.states() == {"account": "ready", "shop": "ready"}


def test_a_time_out_names_who_blocks_whom(supervising: Supervising) -> None:
    supervising.service("account", "web: exec sleep 1000\n", ready_timeout=0.3)
    supervising.service("shop", "web: exec sleep 1000\n", needs=["account"])
    supervising.supervise()
    error = supervising.refused("start", "shop")
    assert "shop was not started, because it needs account" in error.message
    assert "account.web: not ready after 0.3 s: waits for its port" in error.message
    assert "account" in supervising.problem("shop")
    assert supervising.states() == {"account": "starting", "shop": "failed"}


def test_a_cycle_is_refused_with_its_way(supervising: Supervising) -> None:
    for name, need in (("a", "b"), ("b", "c"), ("c", "a")):
        supervising.service(name, "web: sleep 1\n", needs=[need])
    run = supervising.begin_supervisor("a")
    assert run.wait() == 2
    assert "a → b → c → a" in run.text


def test_what_waits_for_its_needs_can_be_stopped(supervising: Supervising) -> None:
    supervising.service("account", f"web: {LATE}; echo ready; sleep 1000\n", ready={"log": "ready"})
    supervising.service("shop", "web: touch started; sleep 1000\n", needs=["account"], ready={"log": "never"})
    supervising.supervise()
    call = supervising.call("start", "shop")
    supervising.wait_for_states(shop="queued", account="starting")
    assert supervising.ask("stop", "shop")[0]["state"] == "stopped"
    (supervising.root / "healthy").touch()
    assert any("ok" in line for line in call)
    assert supervising.states() == {"account": "ready", "shop": "stopped"}
    assert not (supervising.root / "started").exists()


def test_down_while_something_waits_for_its_needs_leaves_nothing(supervising: Supervising) -> None:
    supervising.service("account", "web: exec sleep 1000\n")
    supervising.service("shop", "web: touch started; sleep 1000\n", needs=["account"])
    run = supervising.supervise()
    supervising.call("start", "shop")
    supervising.wait_for_states(shop="queued", account="starting")
    supervising.ask("down")
    assert run.wait() == 0
    assert supervising.ours() == []
    assert not (supervising.root / "started").exists()


def test_a_need_that_is_there_already_holds_nobody_up(supervising: Supervising) -> None:
    supervising.service("account", "web: echo ready; exec sleep 1000\n", ready={"log": "ready"})
    supervising.service("shop", "web: echo ready; exec sleep 1000\n", needs=["account"], ready={"log": "ready"})
    supervising.supervise()
    account = supervising.ask("start", "account")[0]["pid"]
    supervising.ask("start", "shop")
    assert supervising.pids()["account.web"] == account


def test_it_is_ready_on_either_loopback_address(supervising: Supervising) -> None:
    supervising.program(
        "six.py",
        """
        import os, socket, time
        kept = socket.create_server(("::1", int(os.environ["PORT"])), family=socket.AF_INET6)
        time.sleep(1000)
        """,
    )
    supervising.service("shop", "web: python3 six.py\n")
    supervising.supervise()
    assert supervising.ask("start", "shop")[0]["state"] == "ready"


# The queue


async def _waits(task: asyncio.Task[None]) -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return not task.done()


async def test_at_most_so_many_start_at_once_and_in_order() -> None:
    queue = StartQueue(2, lambda: SCARCE)
    turns = {name: asyncio.create_task(queue.turn(name)) for name in "abcd"}
    assert [await _waits(turns[name]) for name in "abcd"] == [False, False, True, True]
    queue.leave("a")
    queue.leave("a")
    assert [await _waits(turns[name]) for name in "cd"] == [False, True]
    queue.leave("b")
    await turns["d"]


async def test_who_is_waited_for_does_not_wait() -> None:
    queue = StartQueue(1, lambda: SCARCE)
    await queue.turn("a")
    turns = {name: asyncio.create_task(queue.turn(name)) for name in "bc"}
    await asyncio.wait_for(queue.turn("restarted", urgent=True), 1)
    assert await _waits(turns["c"])
    queue.hasten("c")
    await asyncio.wait_for(turns["c"], 1)
    assert await _waits(turns["b"])
    for name in ("a", "c", "restarted"):
        queue.leave(name)
    await asyncio.wait_for(turns["b"], 1)


async def test_where_memory_is_scarce_there_is_one_at_a_time_and_never_none() -> None:
    free = [SCARCE - 1]
    queue = StartQueue(4, lambda: free[0])
    turns = {name: asyncio.create_task(queue.turn(name)) for name in "abc"}
    assert [await _waits(turns[name]) for name in "abc"] == [False, True, True]
    free[0] = SCARCE
    queue.leave("a")
    assert [await _waits(turns[name]) for name in "bc"] == [False, False]


async def test_who_gives_up_waiting_keeps_nobody_from_starting() -> None:
    queue = StartQueue(1, lambda: SCARCE)
    await queue.turn("a")
    gives_up, stays = asyncio.create_task(queue.turn("b")), asyncio.create_task(queue.turn("c"))
    assert await _waits(stays)
    gives_up.cancel()
    queue.leave("a")
    await asyncio.wait_for(stays, 1)


def test_twenty_start_in_turns(supervising: Supervising) -> None:
    for number in range(20):
        text = f"web: echo begin >> order; sleep 0.1; echo end >> order; echo ready; exec sleep 10{number}\n"
        supervising.service(f"shop{number}", text, ready={"log": "ready"})
    supervising.supervise()
    supervising.ask("start")
    starting = most = 0
    for line in (supervising.root / "order").read_text().split():
        starting += 1 if line == "begin" else -1
        most = max(most, starting)
    assert 1 <= most <= StartQueue().width + 1  # the next one may begin before the last one's line is written
    wait_until(lambda: set(supervising.states().values()) == {"ready"})
