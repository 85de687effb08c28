"""One table for all engines: SQLite, NATS JetStream and Redis Streams keep the same promises."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from engine_servers import EngineServer
from events_world import Client, Receiver, running, structured, subscriber, until
from nats.aio.client import ServerVersion

from proxy_addons.events import cancellation, engine_nats_settings
from proxy_addons.events.broker import Broker, Limits
from proxy_addons.events.event import Event

BATCH = {"Content-Type": "application/cloudevents-batch+json"}
Opened = Callable[..., AbstractAsyncContextManager[tuple[Broker, Client]]]


class World:
    """A folder, an engine, and brokers that have their log there."""

    def __init__(self, folder: Path, server: EngineServer | None) -> None:
        self.folder = folder
        self.server = server

    def running(
        self, name: str = "broker", limits: Limits | None = None, **more: Any
    ) -> AbstractAsyncContextManager[tuple[Broker, Client]]:
        engine = self.server.url if self.server else ""
        return running(self.folder / f"{name}.sqlite3", limits or Limits(), engine=engine, **more)


@pytest.fixture(params=["sqlite", "nats", "redis"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    yield from made(request.param, tmp_path)


@pytest.fixture(params=["nats", "redis"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    yield from made(request.param, tmp_path)


def made(kind: str, folder: Path) -> Iterator[World]:
    server = EngineServer(kind, folder / kind) if kind != "sqlite" else None
    try:
        yield World(folder, server)
    finally:
        if server:
            server.kill()


def event(number: int, data: bytes | None = b"") -> Event:
    return Event({"specversion": "1.0", "id": f"{number}", "source": "/s", "type": "t"}, data)


async def test_what_was_appended_is_read_in_order_with_places_from_1(world: World) -> None:
    async with world.running() as (broker, client):
        events = [event(0, None), event(1, b""), event(2, b"\x00\xff\n"), event(3, b"x" * 70_000)]
        for one in events:
            await broker.log.append([one], origin="elsewhere", at=7.5)
        stored = await broker.log.read(0, 10)
        assert [one.event.attributes for one in stored] == [one.attributes for one in events]
        assert [one.event.data or b"" for one in stored] == [one.data or b"" for one in events]
        assert [(one.seq, one.at, one.origin) for one in stored] == [(n, 7.5, "elsewhere") for n in (1, 2, 3, 4)]
        assert [one.seq for one in await broker.log.read(1, 2)] == [2, 3]
        assert await broker.log.read(4, 10) == []
        health = (await client.call("GET", "/healthz")).json
        assert (health["status"], health["events"], health["last"]) == ("ok", 4, 4)
        assert health["bytes"] > 0


async def test_the_same_event_is_stored_once_whenever_it_comes_again(world: World) -> None:
    async with world.running() as (broker, client):
        for _ in range(2):
            answer = await client.publish(1, id="same")
        assert answer.json == {"accepted": 1, "duplicates": 1, "seq": 1}
        events = [structured(id="a"), structured(id="same"), structured(id="a"), structured(id="b")]
        answer = await client.call("POST", "/v1/events", events, BATCH)
        assert answer.json == {"accepted": 4, "duplicates": 2, "seq": 3}
        at_once = await asyncio.gather(*(client.publish(1, id="many") for _ in range(8)))
        assert sum(answer.json["duplicates"] for answer in at_once) == 7
        assert {answer.json["seq"] for answer in at_once} == {4}
    async with world.running() as (broker, client):
        assert (await client.publish(1, id="same")).json == {"accepted": 1, "duplicates": 1, "seq": 1}
        assert broker.log.last == 4


async def test_many_publishers_and_large_batches_lose_nothing(world: World) -> None:
    async with world.running() as (broker, client):
        batches = [[structured(data="x" * 500) for _ in range(150)] for _ in range(6)]
        answers = await asyncio.gather(
            *(client.publish(number) for number in range(40)),
            *(client.call("POST", "/v1/events", batch, BATCH) for batch in batches),
        )
        assert {answer.status for answer in answers} == {202}
        assert broker.log.last == 940
        seen: list[int] = []
        while page := await broker.log.read(seen[-1] if seen else 0, 70):
            seen += [one.seq for one in page]
        assert seen == list(range(1, 941))


async def test_64_kib_pass_and_so_does_a_mebibyte(world: World) -> None:
    async with world.running() as (broker, client):
        for size in (64 * 1024, 1024 * 1024):
            headers = {"ce-specversion": "1.0", "ce-id": f"{size}", "ce-source": "/s", "ce-type": "t"}
            assert (await client.call("POST", "/v1/events", b"x" * size, headers)).status == 202
        assert [len(one.event.data or b"") for one in await broker.log.read(0, 2)] == [64 * 1024, 1024 * 1024]


async def test_a_restart_finds_log_and_cursors_where_they_were(world: World) -> None:
    with Receiver() as shop:
        async with world.running() as (broker, client):
            await broker.follow([shop.as_subscriber(order="all")])
            for number in range(3):
                await client.publish(number)
            await shop.wait_for(3)
            await broker.subscriptions.lanes["shop"].drained()
            await broker.follow([subscriber(order="all")])
            await client.publish(3)
        async with world.running() as (broker, client):
            await broker.follow([shop.as_subscriber(order="all")])
            assert (await client.publish(4)).json["seq"] == 5
            assert [got.body for got in await shop.wait_for(5)] == [b"0", b"1", b"2", b"3", b"4"]


async def test_order_retries_and_dead_letters_are_the_same_everywhere(world: World) -> None:
    async with world.running() as (broker, client):
        with Receiver(lambda got: 500 if got.id == "poison" else 204) as shop:
            await broker.follow([shop.as_subscriber(retries=2, concurrency=4)])
            await client.publish(1, id="poison", subject="k")
            await client.publish(2, id="next", subject="k")
            await client.publish(3, id="other", subject="o")
            got = await shop.wait_for(5)
            assert [one.id for one in got if one.headers["ce-subject"] == "k"] == ["poison"] * 3 + ["next"]
            await broker.subscriptions.lanes["shop"].drained()
            (letter,) = (await client.call("GET", "/v1/deadletters")).json["deadletters"]
            assert (letter["attempts"], letter["status"], letter["event"]["data"]) == (3, 500, 1)
            shop.reply = lambda _: 204
            await client.call("POST", "/v1/deadletters/retry?subscription=shop")
            assert (await shop.wait_for(6))[5].id == "poison"


async def test_a_backlog_is_drained_in_order_from_the_engine(world: World) -> None:
    async with world.running() as (broker, client):
        with Receiver() as shop:
            await broker.follow([subscriber(order="all")])
            for begin in range(0, 1500, 50):
                events = [structured(data=number) for number in range(begin, begin + 50)]
                assert (await client.call("POST", "/v1/events", events, BATCH)).status == 202
            await broker.follow([shop.as_subscriber(order="all")])
            assert [int(got.body) for got in await shop.wait_for(1500)] == list(range(1500))


async def test_seek_replay_and_times_work_on_every_engine(world: World) -> None:
    async with world.running() as (broker, client):
        for number in range(1, 8):
            await broker.log.append([event(number, b"%d" % number)], at=1000.0 + number)
        assert [await broker.log.seq_at(when) for when in (0.0, 1001.0, 1004.5, 9999.0)] == [0, 0, 4, 7]
        with Receiver() as shop:
            await broker.follow([shop.as_subscriber(order="all")])
            await client.call("POST", "/v1/subscriptions/shop/seek?to=5")
            assert [got.body for got in await shop.wait_for(2)] == [b"6", b"7"]
            told = (await client.call("POST", "/v1/subscriptions/shop/replay?from=1&to=3")).json
            assert told["replayed"] == 2
            assert [got.body for got in (await shop.wait_for(4))[2:]] == [b"2", b"3"]


async def test_the_old_goes_by_age_and_by_size_but_never_what_is_undelivered(world: World) -> None:
    async with world.running(limits=Limits(max_age=100)) as (broker, client):
        for begin in range(0, 600, 100):
            events = [event(number, b"x" * 300) for number in range(begin, begin + 100)]
            await broker.log.append(events, at=time.time() - 1000)
        await broker.log.append([event(9000)])
        broker.subscriptions.delivered = lambda: 250  # type: ignore[method-assign]
        gone = await broker.trim()
        assert 200 <= gone <= 250, "whole entries, on an engine"
        (oldest,) = await broker.log.read(0, 1)
        assert oldest.seq == gone + 1
        broker.subscriptions.delivered = lambda: 601  # type: ignore[method-assign]
        await broker.trim()
        assert [one.seq for one in await broker.log.read(0, 5)] == [601]
        assert (await client.publish(1)).json["seq"] == 602
        assert (await broker.log.append([event(5)])).duplicates == 0, "what is dropped is forgotten"
    async with world.running(limits=Limits(max_bytes=60_000)) as (broker, _):
        for begin in range(1000, 2000, 50):
            await broker.log.append([event(number, b"x" * 400) for number in range(begin, begin + 50)])
            await broker.trim()
        assert broker.log.last == 1603
        (oldest,) = await broker.log.read(0, 1)
        assert 603 < oldest.seq <= 1603


async def test_what_is_gone_with_a_server_is_refused_and_what_comes_back_goes_on(served: World) -> None:
    assert served.server
    async with served.running() as (broker, client):
        with Receiver() as shop:
            await broker.follow([shop.as_subscriber(order="all")])
            await client.publish("before", id="before")
            await shop.wait_for(1)
            served.server.kill()
            answer = await client.publish("lost?", id="again")
            assert answer.status == 503
            assert "is not reached" in answer.json["detail"]
            assert answer.headers["Retry-After"]
            await until(lambda: broker.log.problem, "it says so")
            health = (await client.call("GET", "/healthz")).json
            assert health["status"] == "degraded"
            assert served.server.url.split("//")[1] in health["problems"]["engine"]
            served.server.start()
            await until(lambda: not broker.log.problem, "it is back")
            async with asyncio.timeout(20):
                while (answer := await client.publish("after", id="again")).status != 202:  # noqa: ASYNC110 - a question to a server
                    await asyncio.sleep(0.05)
            got = await shop.wait_for(2)
            assert [one.id for one in got] == ["before", "again"]
            assert (await client.call("GET", "/healthz")).json["status"] == "ok"


async def test_a_backlog_waits_for_its_server_and_is_delivered_when_that_is_back(served: World) -> None:
    assert served.server
    async with served.running() as (broker, client):
        await broker.follow([subscriber(order="all")])
        for number in range(5):
            await client.publish(number)
    with Receiver() as shop:
        async with served.running() as (broker, client):  # nothing of it is in memory now
            served.server.kill()
            await until(lambda: broker.log.problem, "it is away")
            await broker.follow([shop.as_subscriber(order="all")])
            served.server.start()
            assert [got.body for got in await shop.wait_for(5)] == [b"0", b"1", b"2", b"3", b"4"]


async def test_brokers_with_one_stream_share_one_log(served: World) -> None:
    async with served.running("one") as (one, first), served.running("two") as (two, second):
        with Receiver() as shop:
            await two.follow([shop.as_subscriber(order="all")])
            answers = await asyncio.gather(
                *(first.publish(number, id=f"{number}") for number in range(20)),
                *(second.publish(number, id=f"{number}") for number in range(10, 30)),
            )
            assert {answer.status for answer in answers} == {202}
            assert sum(answer.json["duplicates"] for answer in answers) == 10
            await until(lambda: one.log.last == two.log.last == 30, "both know all")
            assert sorted(int(got.id) for got in await shop.wait_for(30)) == list(range(30))
            mine = [stored.origin for stored in await one.log.read(0, 100)]
            assert set(mine) == {"", two.progress.broker_id}, "what another has published is not ours to forward"


async def test_a_killed_broker_has_lost_nothing_that_it_acknowledged(served: World) -> None:
    """The places that it had not written when it died are found in the log: nothing comes twice."""
    async with served.running() as (broker, client):
        await client.publish(1, id="a")
        broker.log._known._fresh.clear()  # as if it were killed before it wrote what it knows
        broker.log._known._gathering.end()
    async with served.running() as (broker, client):
        assert broker.log.last == 1
        assert (await client.publish(1, id="a")).json == {"accepted": 1, "duplicates": 1, "seq": 1}


async def test_a_stream_that_begins_anew_is_noticed(served: World) -> None:
    assert served.server
    with Receiver() as shop:
        async with served.running() as (broker, client):
            await broker.follow([shop.as_subscriber()])
            for number in range(5):
                await client.publish(number)
            await shop.wait_for(5)
            await broker.subscriptions.lanes["shop"].drained()
        served.server.kill()
        served.server.folder = served.folder / "another"
        served.server.folder.mkdir()
        served.server.start()
        async with served.running() as (broker, client):
            await broker.follow([shop.as_subscriber()])
            assert (await client.publish("new")).json["seq"] == 1
            assert (await shop.wait_for(6))[5].body == b'"new"'


async def test_a_server_that_forgets_is_told_of(tmp_path: Path) -> None:
    server = EngineServer("redis", tmp_path / "redis")
    try:
        server.kill()
        server.options = ("--appendonly", "no", "--save", "")
        server.start()
        async with running(tmp_path / "e", engine=server.url) as (_, client):
            health = (await client.call("GET", "/healthz")).json
            assert health["status"] == "degraded"
            assert "redis-cli config set appendonly yes" in health["problems"]["engine"]
    finally:
        server.kill()


async def test_a_publisher_that_waits_when_the_server_dies_is_told_at_once(served: World) -> None:
    assert served.server
    assert served.server.process
    async with served.running() as (broker, client):
        served.server.process.send_signal(signal.SIGSTOP)
        waiting = asyncio.create_task(client.publish("nobody takes it"))
        await until(broker.log._lock.locked, "the server was asked")
        served.server.kill()
        answer = await asyncio.wait_for(waiting, 4)  # an answer that may still come is waited for 5 s
        assert answer.status == 503


async def test_a_server_that_syncs_later_than_it_acknowledges_is_cautioned_about(tmp_path: Path) -> None:
    server = EngineServer("redis", tmp_path / "redis")
    try:
        async with running(tmp_path / "strict", engine=server.url) as (_, client):
            assert (await client.call("GET", "/healthz")).json["cautions"] == {}
        server.kill()
        server.options = ("--appendonly", "yes", "--appendfsync", "everysec")
        server.start()
        async with running(tmp_path / "late", engine=server.url) as (_, client):
            health = (await client.call("GET", "/healthz")).json
            assert health["status"] == "ok", "nothing is wrong with it; it promises less"
            assert "redis-cli config set appendfsync always" in health["cautions"]["engine"]
    finally:
        server.kill()


async def test_nats_before_2_10_is_said_not_to_sync_each_event(tmp_path: Path) -> None:
    server = EngineServer("nats", tmp_path / "nats")
    try:
        async with running(tmp_path / "e", engine=server.url) as (broker, client):
            version = broker.log._engine._client.connected_server_version
            told = (await client.call("GET", "/healthz")).json["cautions"].get("engine", "")
            assert told.startswith("nats-server 2.9") == ((version.major, version.minor) < (2, 10))
    finally:
        server.kill()
    for text, old in (("2.9.10", True), ("2.9.25", True), ("2.10.0", False), ("2.11.4", False), ("3.0.1", False)):
        assert ("sync_interval: always" in engine_nats_settings.syncs_late(ServerVersion(text))) == old


async def test_what_is_larger_than_the_server_takes_is_413_and_harms_nobody(tmp_path: Path) -> None:
    server = EngineServer("nats", tmp_path / "nats")
    try:
        async with running(tmp_path / "e", engine=server.url) as (broker, client):
            broker.log._engine._client._max_payload = 100_000
            headers = {"ce-specversion": "1.0", "ce-source": "/s", "ce-type": "t"}
            answers = await asyncio.gather(
                client.call("POST", "/v1/events", b"x" * 200_000, headers | {"ce-id": "large"}),
                client.call("POST", "/v1/events", b"x" * 65_536, headers | {"ce-id": "small"}),
            )
            assert [answer.status for answer in answers] == [413, 202]
            assert "max_payload" in answers[0].json["detail"]
            assert json.loads(answers[1].body)["accepted"] == 1
    finally:
        server.kill()


async def test_whoever_is_cancelled_while_the_engine_is_asked_ends_at_whatever_moment(served: World) -> None:
    async with served.running() as (broker, client):
        await client.publish(0)
        cancelled = 0
        for moment in range(400):
            work = asyncio.ensure_future(broker.log.read(0, 10))
            for _ in range(moment % 25):
                await asyncio.sleep(0)
            if work.cancel():
                await asyncio.wait({work})
                assert work.cancelled(), "a loop around it would have gone on"
                cancelled += 1
        assert cancelled > 100, "they were under way"


async def test_a_cancellation_that_a_library_takes_for_itself_ends_its_task() -> None:
    async def library() -> str:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            return "what came at the same moment"
        return ""

    async def ask() -> str:
        with cancellation.kept():
            return await library()

    task = asyncio.ensure_future(ask())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
