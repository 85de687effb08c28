"""Events that wait for another try: when their time comes, and that none is forgotten or doubled."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from pathlib import Path

import pytest
import uvloop
from events_world import Delivery, Receiver, running, structured, subscriber, until

from proxy_addons.events import outcome
from proxy_addons.events.event import Event
from proxy_addons.events.key_queues import KeyQueues
from proxy_addons.events.log import Stored
from proxy_addons.events.progress import Item

BATCH = {"Content-Type": "application/cloudevents-batch+json"}


def item(seq: int, due: float = 0.0) -> Item:
    return Item(Stored(seq, Event({"specversion": "1.0", "id": f"{seq}", "source": "/s", "type": "t"})), due=due)


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_every_line_goes_on_when_it_is_due_though_timers_ring_a_little_early(factory: type) -> None:
    """uvloop counts whole milliseconds: of 200 timers some 40 ring before the time that they were set to."""

    async def all_of(count: int) -> set[str]:
        bell = asyncio.Event()
        queues = KeyQueues(bell.set)
        for seq in range(count):
            queues.add(f"{seq}", item(seq, time.time() + 0.05 + seq / 777))
        went: set[str] = set()
        async with asyncio.timeout(10):
            while len(went) < count:
                await bell.wait()
                bell.clear()
                while found := queues.next():
                    went.add(found[0])
                    queues.done(found[0])
        return went

    with asyncio.Runner(loop_factory=factory) as runner:
        assert len(runner.run(all_of(200))) == 200


async def test_a_clock_that_is_set_back_delays_no_retry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time
    async with running(tmp_path / "e") as (broker, client):
        with Receiver(lambda got: 503 if got.headers["Stores-Attempt"] == "1" else 204) as shop:
            await broker.subscriptions.follow([shop.as_subscriber(backoff=0.5)])
            await client.publish(1)
            lane = broker.subscriptions.lanes["shop"]
            await until(lambda: lane.parked == 1 and not lane.in_flight, "it waits for its second attempt")
            monkeypatch.setattr(time, "time", lambda: now() - 86400)
            await shop.wait_for(2)


async def test_what_a_clock_that_was_wrong_put_off_for_years_comes_within_the_longest_pause(tmp_path: Path) -> None:
    with Receiver(lambda _: 503) as shop:
        async with running(tmp_path / "e") as (broker, client):
            await broker.subscriptions.follow([shop.as_subscriber(backoff=60)])
            await client.publish(1)
            lane = broker.subscriptions.lanes["shop"]
            await until(lambda: lane.parked == 1 and not lane.in_flight, "it waits for its second attempt")
            await broker.writer.submit(lambda one: one.execute("UPDATE parked SET due = due + 1e9"))
        async with running(tmp_path / "e") as (broker, client):
            await broker.subscriptions.follow([shop.as_subscriber(backoff=60)])
            (found,) = broker.subscriptions.lanes["shop"]._window.queues.items()
            assert found.due <= time.time() + outcome.LONGEST_RETRY_AFTER


async def test_what_waits_is_there_when_its_service_is_registered_again(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver(lambda _: 503) as shop:
            await broker.subscriptions.follow([shop.as_subscriber(backoff=0.3)])
            await client.publish(1, id="a", subject="k")
            lane = broker.subscriptions.lanes["shop"]
            await until(lambda: lane.parked == 1 and not lane.in_flight, "it waits for its second attempt")
            shop.reply = lambda _: 204
            await broker.subscriptions.follow([])
            await client.publish(2, id="b", subject="k")
            await broker.subscriptions.follow([shop.as_subscriber(backoff=0.3)])
            got = await shop.wait_for(3)
            assert [(one.id, one.headers["Stores-Attempt"]) for one in got] == [("a", "1"), ("a", "2"), ("b", "1")]


async def test_what_waits_beyond_the_cursor_comes_once_and_in_order_after_a_restart(tmp_path: Path) -> None:
    """A slow delivery holds the cursor; what failed after it has rows of its own, and is in the log as well."""
    release = threading.Event()

    def reply(got: Delivery) -> int:
        if got.id == "slow":
            release.wait(20)
            return 204
        return 503

    with Receiver(reply) as shop:
        async with running(tmp_path / "e") as (broker, client):
            await broker.subscriptions.follow([shop.as_subscriber(backoff=0.3)])
            await client.publish(0, id="slow", subject="s")
            await shop.wait_for(1)
            for name in ("a", "b", "c"):
                await client.publish(name, id=name, subject="k")
            lane = broker.subscriptions.lanes["shop"]
            await until(lambda: lane.parked == 3 and lane.in_flight == 1, "the others wait")
        release.set()
        before = len(shop.got)
        shop.reply = lambda _: 204
        async with running(tmp_path / "e") as (broker, client):
            await broker.subscriptions.follow([shop.as_subscriber(backoff=0.3)])
            await broker.subscriptions.lanes["shop"].drained()
            again = [one.id for one in shop.got[before:]]
            assert [one for one in again if one != "slow"] == ["a", "b", "c"]
            assert again.count("slow") == 1


async def test_a_key_that_hangs_makes_room_for_others_however_much_is_behind_it(tmp_path: Path) -> None:
    release = threading.Event()
    async with running(tmp_path / "e") as (broker, client):
        with Receiver(lambda got: (release.wait(20), 204)[1] if got.headers["ce-subject"] == "hangs" else 204) as shop:
            await broker.subscriptions.follow([shop.as_subscriber()])
            await client.call("POST", "/v1/events", [structured(subject="hangs", data=n) for n in range(300)], BATCH)
            await client.publish("other", id="other", subject="other")
            got = await shop.wait_for(2, 10)
            assert [one.headers["ce-subject"] for one in got] == ["hangs", "other"]
            release.set()
            await broker.subscriptions.lanes["shop"].drained()
            of_key = [int(one.body) for one in shop.got if one.headers["ce-subject"] == "hangs"]
            assert of_key == list(range(300))


async def test_what_is_done_beyond_a_slow_delivery_does_not_come_again(tmp_path: Path) -> None:
    release = threading.Event()
    with Receiver(lambda got: (release.wait(20), 204)[1] if got.id == "slow" else 204) as shop:
        async with running(tmp_path / "e") as (broker, client):
            await broker.subscriptions.follow([shop.as_subscriber()])
            await client.publish(0, id="slow")
            await client.call("POST", "/v1/events", [structured(data=n) for n in range(200)], BATCH)
            await shop.wait_for(201)
            await until(lambda: broker.subscriptions.lanes["shop"].in_flight == 1, "all but one are done")
        release.set()
        async with running(tmp_path / "e") as (broker, client):
            await broker.subscriptions.follow([shop.as_subscriber()])
            await broker.subscriptions.lanes["shop"].drained()
            assert [one.id for one in shop.got[201:]] == ["slow"]


async def test_a_slow_delivery_holds_back_the_cursor_by_a_thousand_events_at_most(tmp_path: Path) -> None:
    release = threading.Event()
    async with running(tmp_path / "e") as (broker, client):
        with Receiver(lambda got: (release.wait(20), 204)[1] if got.id == "slow" else 204) as shop:
            await broker.subscriptions.follow([shop.as_subscriber()])
            await client.publish(0, id="slow")
            for _ in range(6):
                await client.call("POST", "/v1/events", [structured(data=n) for n in range(200)], BATCH)
            await shop.wait_for(1201)
            lane = broker.subscriptions.lanes["shop"]
            await until(lambda: lane.in_flight == 1 and lane.standing.cursor >= 200, "the cursor goes on")
            release.set()
            await lane.drained()
            assert lane.standing.cursor == 1201


async def test_a_backlog_of_large_events_is_held_on_the_disk_and_not_in_memory(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, _):
        await broker.subscriptions.follow([subscriber("shop", begin="first")])
        lane = broker.subscriptions.lanes["shop"]
        for number in range(60):
            one = Event({"specversion": "1.0", "id": f"{number}", "source": "/s", "type": "t"}, b"x" * 1_000_000)
            await broker.log.append([one])
        await until(lambda: lane._window.position >= 20, "some is read ahead")
        assert lane.waiting == 60
        assert lane._window.queues.size < 48 * 1024 * 1024
        with Receiver() as shop:
            await broker.subscriptions.follow([shop.as_subscriber(begin="first", order="all")])
            await lane.drained()
            assert [got.id for got in shop.got] == [f"{number}" for number in range(60)]
        assert (len(lane._window.queues), lane._window.queues.size) == (0, 0)


async def test_order_is_kept_for_each_key_under_retries_and_restarts(tmp_path: Path) -> None:
    chance = random.Random(7)
    seen: dict[str, list[int]] = {}
    lock = threading.Lock()

    def reply(got: Delivery) -> int:
        with lock:
            if chance.random() < 0.3:
                return 503
            seen.setdefault(got.headers["ce-partitionkey"], []).append(int(got.body))
            return 204

    with Receiver(reply) as shop:
        for begin in range(0, 600, 100):
            async with running(tmp_path / "e") as (broker, client):
                await broker.subscriptions.follow([shop.as_subscriber(concurrency=8, backoff=0.01, retries=1000)])
                events = [structured(partitionkey=f"k{n % 5}", data=n) for n in range(begin, begin + 100)]
                await client.call("POST", "/v1/events", events, BATCH)
                await shop.wait_for(len(shop.got) + 50)
        async with running(tmp_path / "e") as (broker, client):
            await broker.subscriptions.follow([shop.as_subscriber(concurrency=8, backoff=0.01, retries=1000)])
            await asyncio.wait_for(broker.subscriptions.lanes["shop"].drained(), 20)
    for key, numbers in seen.items():
        assert numbers == sorted(numbers), "what was under way comes again, and nothing before it"
        assert sorted(set(numbers)) == list(range(int(key[1:]), 600, 5))
