"""`[events]` of stores.toml changes while the broker runs: what is not concerned goes on."""

from __future__ import annotations

import asyncio
import dataclasses
import http.client
from pathlib import Path
from typing import Any

import pytest
from events_hosting import hosted, shop, snapshot
from events_world import Client, Receiver, free_port, running, until

from proxy_addons.events.forwarding import FORWARD


async def test_other_limits_interrupt_nothing(tmp_path: Path) -> None:
    port = free_port()
    with Receiver() as desk:
        told = snapshot(port, shop(desk.port))
        async with hosted(tmp_path, told) as (hosting, broker):
            client = Client(port)
            stream = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            stream.request("GET", "/v1/events", headers={"Accept": "text/event-stream"})
            followed = await asyncio.to_thread(stream.getresponse)
            settings = dataclasses.replace(told.events, backlog=1, max_age=1.0, max_bytes=1)
            await hosting.tell(dataclasses.replace(told, events=settings))
            await until(lambda: broker.publishing.most_waiting == 1, "the limit holds")
            assert hosting._broker is broker
            await client.publish(1, id="after")
            await desk.wait_for(1)
            lines = [await asyncio.to_thread(followed.readline) for _ in range(4)]
            assert any(b'"id":"after"' in line for line in lines), "the stream goes on"
            stream.close()
            await hosting.tell(dataclasses.replace(told, services=(), events=settings))
            await until(lambda: not broker.subscriptions.lanes, "nobody subscribes")
            for number in range(3):
                await client.publish(number)
            await broker.trim()
            assert len(await broker.log.read(0, 10)) == 1, "max_bytes"
            assert len(desk.got) == 1, "nothing was delivered again"


async def test_another_remote_is_made_anew_and_nothing_else(tmp_path: Path) -> None:
    port = free_port()
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(_: Any) -> int:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(20)
        return 204

    async with running(tmp_path / "a") as (a, one), running(tmp_path / "b") as (b, two):
        with Receiver(slow) as desk:
            told = snapshot(port, shop(desk.port), remote=f"http://127.0.0.1:{one.port}", forward=("com.out",))
            async with hosted(tmp_path / "near", told) as (hosting, broker):
                client = Client(port)
                await client.publish(1, type="com.out", id="to-a")
                await until(lambda: a.log.last == 1, "it was forwarded")
                await desk.wait_for(1)
                settings = dataclasses.replace(told.events, remote=f"http://127.0.0.1:{two.port}")
                await hosting.tell(dataclasses.replace(told, events=settings))
                await until(lambda: broker.link.remote and broker.link.remote.url == settings.remote, "it changed")
                await client.publish(2, type="com.out", id="to-b")
                await until(lambda: b.log.last == 1, "it was forwarded to the other one")
                settings = dataclasses.replace(settings, forward=(), remote="")
                await hosting.tell(dataclasses.replace(told, events=settings))
                await until(lambda: FORWARD not in broker.subscriptions.lanes, "there is none any more")
                assert hosting._broker is broker
                release.set()
                await broker.subscriptions.lanes["shop"].drained()
                assert sorted(got.id for got in desk.got) == ["to-a", "to-b"], "the delivery under way was not cut"
                assert (a.log.last, b.log.last) == (1, 1)


async def test_the_port_changes_while_it_runs_and_what_is_under_way_on_the_old_one_ends_well(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    told = snapshot(first)
    async with hosted(tmp_path, told) as (hosting, broker):
        waits = asyncio.create_task(Client(first).call("GET", "/v1/events?after=0&wait=3"))
        await until(lambda: broker.tail._waiting, "the question waits")
        await hosting.tell(dataclasses.replace(told, events=dataclasses.replace(told.events, port=second)))
        assert (await Client(second).publish(1, id="at the new one")).status == 202
        assert (await waits).json["events"][0]["event"]["id"] == "at the new one"
        with pytest.raises(ConnectionRefusedError):
            Client(first).ask("GET", "/healthz")
        assert hosting._broker is broker


async def test_where_the_new_port_is_taken_the_old_one_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    told = snapshot(port)
    async with hosted(tmp_path, told) as (hosting, _):
        with Receiver() as taken:
            for _ in range(2):
                settings = dataclasses.replace(told.events, port=taken.port)
                await hosting.tell(dataclasses.replace(told, events=settings))
            assert (await Client(port).publish(1)).status == 202
        await hosting.tell(dataclasses.replace(told, events=settings))
        assert (await Client(taken.port).publish(2)).status == 202, "once it is free"
    (said,) = [record.message for record in caplog.records if "No events on port" in record.message]
    assert f"port {taken.port}" in said
    assert "[events] port in stores.toml" in said
