"""A service's file that changes while events wait: its new wish is for those as well."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from events_world import Delivery, Receiver, running, structured, subscriber, until

BATCH = {"Content-Type": "application/cloudevents-batch+json"}
TOKYO = ({"prefix": {"subject": "tokyo/"}},)


async def test_other_filters_are_for_what_waits_already(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        await broker.subscriptions.follow([subscriber("shop")])
        for name in ("rome/1", "tokyo/1", "rome/2"):
            await client.publish(1, id=name, subject=name)
        lane = broker.subscriptions.lanes["shop"]
        with Receiver() as shop:
            await broker.subscriptions.follow([shop.as_subscriber(filters=TOKYO)])
            await lane.drained()
            assert [got.id for got in shop.got] == ["tokyo/1"]
            assert lane.standing.cursor == 3


async def test_other_filters_are_for_what_waits_for_another_try_also_after_a_restart(tmp_path: Path) -> None:
    for kept_open in (True, False):
        file = tmp_path / f"{kept_open}"
        with Receiver(lambda _: 503) as shop:
            async with running(file) as (broker, client):
                await broker.subscriptions.follow([shop.as_subscriber(backoff=60)])
                for name in ("rome/1", "tokyo/1"):
                    await client.publish(1, id=name, subject=name)
                await until(lambda lane=broker.subscriptions.lanes["shop"]: lane.parked == 2, "both failed")
                if kept_open:
                    await broker.subscriptions.follow([shop.as_subscriber(backoff=60, filters=TOKYO)])
                    await until(lambda lane=broker.subscriptions.lanes["shop"]: lane.waiting == 1, "one is wanted")
            async with running(file) as (broker, client):
                await broker.subscriptions.follow([shop.as_subscriber(backoff=60, filters=TOKYO)])
                await until(lambda lane=broker.subscriptions.lanes["shop"]: lane.waiting == 1, "one is wanted")
                rows = await broker.writer.submit(lambda one: one.execute("SELECT count(*) FROM parked").fetchone())
                assert rows == (1,)


async def test_another_order_is_kept_by_what_waits_already(tmp_path: Path) -> None:
    now, most = 0, 0
    lock = threading.Lock()
    go_on = threading.Event()

    def reply(_: Delivery) -> int:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        go_on.wait(0.02)  # long enough for another to come, if another may
        with lock:
            now -= 1
        return 204

    async with running(tmp_path / "e") as (broker, client):
        await broker.subscriptions.follow([subscriber("shop", order="none", concurrency=8)])
        await client.call("POST", "/v1/events", [structured(subject="k", data=n) for n in range(8)], BATCH)
        with Receiver(reply) as shop:
            await broker.subscriptions.follow([shop.as_subscriber(order="key", concurrency=8)])
            await broker.subscriptions.lanes["shop"].drained()
            assert [int(got.body) for got in shop.got] == list(range(8))
            assert most == 1


async def test_another_order_waits_for_what_is_under_way(tmp_path: Path) -> None:
    release = threading.Event()
    async with running(tmp_path / "e") as (broker, client):
        with Receiver(lambda got: (release.wait(20), 204)[1] if got.body == b"0" else 204) as shop:
            await broker.subscriptions.follow([shop.as_subscriber(order="none", concurrency=1)])
            await client.call("POST", "/v1/events", [structured(subject="k", data=n) for n in range(4)], BATCH)
            await shop.wait_for(1)
            await broker.subscriptions.follow([shop.as_subscriber(order="key", concurrency=8)])
            await client.publish(4, subject="k")
            assert len(shop.got) == 1
            release.set()
            await broker.subscriptions.lanes["shop"].drained()
            assert [int(got.body) for got in shop.got] == list(range(5))


async def test_what_comes_behind_a_failure_by_the_new_order_does_not_hold_the_cursor(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver(lambda got: 503 if got.body == b"0" else 204) as shop:
            await broker.subscriptions.follow([shop.as_subscriber(order="none", backoff=60)])
            await client.publish(0, subject="k")
            lane = broker.subscriptions.lanes["shop"]
            await until(lambda: lane.parked == 1 and not lane.in_flight, "it failed")
            await broker.subscriptions.follow([subscriber(order="none", backoff=60)])
            await client.call("POST", "/v1/events", [structured(subject="k", data=n) for n in (1, 2)], BATCH)
            await until(lambda: lane.waiting == 3, "they wait")
            await broker.subscriptions.follow([shop.as_subscriber(order="key", backoff=60)])
            await asyncio.wait_for(until(lambda: lane.standing.cursor == 3, "the cursor"), 20)
            assert (lane.parked, len(shop.got)) == (3, 1)


async def test_a_service_whose_file_went_while_nothing_ran_is_forgotten_after_thirty_days(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, _):
        await broker.subscriptions.follow([subscriber("shop")])
    async with running(tmp_path / "e") as (broker, _):
        await broker.subscriptions.follow([])
        assert broker.progress.standings["shop"].absent
        await broker.writer.submit(lambda one: one.execute("UPDATE subscriptions SET absent = absent - 31 * 86400"))
    async with running(tmp_path / "e") as (broker, _):
        await broker.subscriptions.follow([])
        assert broker.progress.standings == {}
