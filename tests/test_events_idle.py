"""A broker whose subscribers do not run does nothing, however much waits for them; and trouble is said once."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from events_world import Receiver, free_port, running, subscriber, until
from workbench import wait_until

from proxy_addons.events.hold import Hold
from proxy_addons.events.trouble import Trouble

#: Three services that do not run with 1,000 events each, and a fourth that answers 503 and goes away.
PROGRAM = """
import asyncio, sys
from pathlib import Path
from events_world import Receiver, running, structured, subscriber, until

async def main():
    async with running(Path(sys.argv[1])) as (broker, client):
        with Receiver(lambda _: 503) as desk:
            names = ("shop", "till", "hall")
            asleep = [subscriber(name, start="on-request" if name == "hall" else "never") for name in names]
            await broker.follow([*asleep, desk.as_subscriber("desk", retries=1000)])
            batch = [structured(subject=f"s{number}") for number in range(100)]
            for begin in range(10):
                for event in batch:
                    event["id"] = f"{begin}-{event['subject']}"
                await client.call("POST", "/v1/events", batch, {"Content-Type": "application/cloudevents-batch+json"})
            await until(lambda: broker.subscriptions.lanes["desk"].parked, "some are tried again")
            await broker.follow([*asleep, subscriber("desk", retries=1000)])
        await until(lambda: not broker.subscriptions.client._idle, "kept connections have gone")
        await until(lambda: not broker.subscriptions.lanes["desk"]._window.queues._timers, "their time has come")
        waiting = [lane.waiting for lane in broker.subscriptions.lanes.values()]
        print(waiting, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
#: As the supervisor's idle test counts: 5 wake-ups in 30 s may be the system's own, so one in a sixth of that.
SECONDS, WAKE_UPS = 5.0, 1


def threads(pid: int, fact: str) -> dict[str, str]:
    """What the kernel tells of each of its threads; nothing of one that ends meanwhile."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            found[task.name] = (task / "status").read_text().partition(f"\n{fact}:")[2].split()[0]
    return found


def switches(pid: int) -> dict[str, int]:
    """How often each of its threads slept and was woken up."""
    return {task: int(count) for task, count in threads(pid, "voluntary_ctxt_switches").items()}


@contextmanager
def program(text: str, file: Path) -> Iterator[subprocess.Popen[str]]:
    support = Path(__file__).parent / "support"
    environ = {"PYTHONPATH": f"{support}:{support.parent.parent}"}
    command = [sys.executable, "-c", text, str(file)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="wake-ups are counted by Linux alone")
def test_a_broker_with_a_backlog_for_stopped_subscribers_is_not_woken_up(tmp_path: Path) -> None:
    with program(PROGRAM, tmp_path / "e") as broker:
        assert broker.stdout
        assert broker.stdout.readline() == "[1000, 1000, 1000, 1000]\n"
        wait_until(lambda: set(threads(broker.pid, "State").values()) == {"S"}, "all its threads sleep")
        before = switches(broker.pid)
        time.sleep(SECONDS)  # that nothing happens takes its time to be seen
        woken = {task: count - before.get(task, 0) for task, count in switches(broker.pid).items()}
        assert sum(woken.values()) <= WAKE_UPS, woken


async def test_a_port_that_refuses_is_looked_at_more_and_more_seldom(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        port = free_port()
        await broker.follow([subscriber("shop", port, concurrency=50, order="none")])
        tried = 0
        lane = broker.subscriptions.lanes["shop"]
        send = lane.sender.send

        async def counted(*arguments: object) -> object:
            nonlocal tried
            tried += 1
            return await send(*arguments)  # type: ignore[arg-type]

        lane.sender.send = counted  # type: ignore[method-assign,assignment]
        await client.publish(0)
        await until(lambda: lane.sender.problem, "it was refused")
        began, seen = time.monotonic(), tried
        for number in range(20):  # each rings its bell
            await client.publish(number)
        await until(lambda: time.monotonic() - began > 1.5, "a second and a half has passed")
        assert tried - seen <= 3, "after 0.2, 0.4 and 0.8 s, by one of the fifty that may be side by side"
        with Receiver(port=port) as shop:
            await broker.follow(
                [shop.as_subscriber(concurrency=50, order="none", backoff=0.5)]
            )  # the supervisor's word
            await shop.wait_for(21)


def test_a_hold_doubles_its_pause_and_knows_when_it_is_over() -> None:
    hold = Hold(lambda: None)
    pauses = []
    for _ in range(10):
        hold.take()
        pauses.append(hold.left)
        hold._until = 0.0
    assert [round(pause, 1) for pause in pauses] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]
    hold.take(100)
    assert 99 < hold.left <= 100, "not before somebody asks for it"
    hold.take()
    assert 99 < hold.left <= 100, "what was tried side by side does not count twice"
    hold.lift()
    assert not hold.on
    hold.take(float("inf"))
    hold.arm()
    assert hold.on, "and no timer, which would need a loop"


def test_trouble_is_said_when_it_begins_and_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    trouble = Trouble(logging.getLogger("t"), "The disk cannot be written")
    trouble.ends()
    for number in range(3):
        trouble.begins(f"full {number}")
    trouble.ends()
    trouble.ends()
    trouble.begins("full again")
    assert [record.message for record in caplog.records] == [
        "The disk cannot be written, which is tried again by itself: full 0",
        "The disk cannot be written: that is over",
        "The disk cannot be written, which is tried again by itself: full again",
    ]


async def test_a_log_that_cannot_be_read_is_said_once_for_all_lanes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "e"
    async with running(file) as (broker, client):
        await broker.follow([subscriber(f"s{number}") for number in range(5)])
        for number in range(3):
            await client.publish(number)
    async with running(file) as (broker, client):
        await broker.writer.submit(lambda one: one.execute("ALTER TABLE events RENAME TO hidden"))
        with Receiver() as desk:
            await broker.follow([desk.as_subscriber(f"s{number}") for number in range(5)])
            await until(lambda: broker.tail._trouble._on, "it is seen")
            assert (await client.call("GET", "/v1/events")).status == 503
            await broker.writer.submit(lambda one: one.execute("ALTER TABLE hidden RENAME TO events"))
            await desk.wait_for(15)
    said = [record.message for record in caplog.records if "cannot be read" in record.message]
    assert len(said) == 2, said
