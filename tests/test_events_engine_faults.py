"""What a server that keeps the log may do to us: be paused, lose its stream, hold what somebody else has written."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest
from engine_servers import EngineServer
from events_hosting import hosted, shop, snapshot
from events_world import Client, Receiver, free_port, running, structured, until
from redis.asyncio import Redis

from procman.errors import StoresError
from proxy_addons.events import engine_log, engine_nats, engine_redis
from proxy_addons.events.broker import Broker, Limits, Surroundings
from proxy_addons.events.engine import STREAM, OvertakenError
from proxy_addons.events.event import Event
from proxy_addons.events.writer import StorageError

BATCH = {"Content-Type": "application/cloudevents-batch+json"}


@pytest.fixture(params=["nats", "redis"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineServer]:
    found = EngineServer(request.param, tmp_path / request.param)
    yield found
    found.kill()


async def write(server: EngineServer, after: int, headers: dict[str, str] | None) -> None:
    """As another program, or a person, would."""
    if server.kind == "nats":
        other = await nats.connect(server.url)
        await other.jetstream().publish(f"{STREAM}.events", b"hello", headers=headers)
        await other.close()
    else:
        async with Redis.from_url(server.url) as redis:
            await redis.xadd(STREAM, {"hello": "you"}, id=f"{after}-7")


async def delete(server: EngineServer) -> None:
    if server.kind == "nats":
        other = await nats.connect(server.url)
        await other.jetstream().delete_stream(STREAM)
        await other.close()
    else:
        async with Redis.from_url(server.url) as redis:
            await redis.flushall()


@pytest.mark.parametrize("headers", [None, {"Hello": "you"}])
async def test_what_somebody_else_has_written_is_passed_over(
    server: EngineServer, headers: dict[str, str] | None, tmp_path: Path
) -> None:
    async with running(tmp_path / "e", engine=server.url) as (broker, client):
        batch = [structured(data=number) for number in (1, 2)]
        assert (await client.call("POST", "/v1/events", batch, BATCH)).json["seq"] == 2
        await write(server, 1, headers)
        assert [(await client.publish(number)).json["seq"] for number in (3, 4)] == [3, 4]
        await write(server, 4, headers)
    async with running(tmp_path / "e", engine=server.url) as (broker, client):
        with Receiver() as desk:
            await broker.follow([desk.as_subscriber(begin="first", order="all")])
            assert [got.body for got in await desk.wait_for(4)] == [b"1", b"2", b"3", b"4"]
            assert [stored.seq for stored in await broker.log.read(1, 1)] == [2]
            assert (await client.publish(5)).json["seq"] == 5
            await desk.wait_for(5)
            assert (await client.call("GET", "/healthz")).json["status"] == "ok"


async def test_entries_of_another_broker_that_are_only_read_are_not_numbered_over(tmp_path: Path) -> None:
    """A lane's read sees them before the log has taken note of them; NATS must not think then that it has."""
    server = EngineServer("nats", tmp_path / "nats")
    try:
        async with running(tmp_path / "e", engine=server.url) as (broker, client):
            await client.publish(1)
            engine = broker.log._engine
            engine.on_news = lambda: None  # the message that tells of it is lost
            async with running(tmp_path / "other", engine=server.url) as (_, other):
                await other.publish(2)
            assert len(await engine.read(0, 64)) == 2
            with pytest.raises(OvertakenError):
                await engine.append(99, b"with a place of our own")
            assert (await client.publish(3)).json["seq"] == 3
    finally:
        server.kill()


async def test_a_stream_that_is_lost_while_we_run_is_begun_anew(server: EngineServer, tmp_path: Path) -> None:
    port = free_port()
    with Receiver() as desk:
        async with hosted(tmp_path / "state", snapshot(port, shop(desk.port), engine=server.url)) as (hosting, broker):
            client = Client(port)
            for number in range(3):
                await client.publish(number)
            await desk.wait_for(3)
            await delete(server)
            await client.publish("may be refused")
            await until(lambda: hosting._broker not in {None, broker}, "it is opened anew")
            assert (await client.publish("new", id="new")).status == 202
            await until(lambda: any(got.id == "new" for got in desk.got), "it is delivered")
            assert (await client.call("GET", "/healthz")).json["status"] == "ok"


async def test_a_server_that_comes_back_empty_is_begun_anew(server: EngineServer, tmp_path: Path) -> None:
    port = free_port()
    with Receiver() as desk:
        async with hosted(tmp_path / "state", snapshot(port, shop(desk.port), engine=server.url)) as (hosting, broker):
            client = Client(port)
            await client.publish(1)
            await desk.wait_for(1)
            server.kill()
            server.folder /= "another"
            server.folder.mkdir()
            server.start()
            await until(lambda: hosting._broker not in {None, broker}, "it is opened anew")
            assert (await client.publish("new")).json["seq"] == 1
            assert (await desk.wait_for(2))[1].body == b'"new"'


async def test_a_server_that_is_paused_is_said_and_what_it_took_all_the_same_is_found(
    server: EngineServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_nats, "_PATIENCE", 0.5)
    monkeypatch.setattr(engine_redis, "_PATIENCE", 0.5)
    assert server.process
    async with running(tmp_path / "e", engine=server.url) as (broker, client):
        with Receiver() as desk:
            await broker.follow([desk.as_subscriber()])
            await client.publish(0)
            await desk.wait_for(1)
            server.process.send_signal(signal.SIGSTOP)
            assert (await client.publish(1)).status == 503
            health = (await client.call("GET", "/healthz")).json
            assert health["status"] == "degraded"
            assert "is not reached" in health["problems"]["engine"]
            server.process.send_signal(signal.SIGCONT)
            assert (await desk.wait_for(2))[1].body == b"1", "nobody was told that it is there, and it is"
            assert (await client.call("GET", "/healthz")).json["status"] == "ok"


async def test_a_server_that_does_not_let_us_in_is_said_with_what_to_do(server: EngineServer, tmp_path: Path) -> None:
    server.kill()
    locked = ("authorization { user: a, password: b }",) if server.kind == "nats" else ("--requirepass", "b")
    server.options = locked
    server.start()
    user = "a" if server.kind == "nats" else ""
    for who in ("", f"{user}:wrong@"):
        with pytest.raises(StoresError, match="does not let us in") as refused:
            await Broker.open(tmp_path / "e", Limits(), Surroundings(), server.url.replace("//", f"//{who}"))
        assert "STORES_EVENTS_ENGINE" in refused.value.hint
        assert "wrong" not in refused.value.message.replace("invalid username-password", "")
    async with running(tmp_path / "e", engine=server.url.replace("//", f"//{user}:b@")) as (_, client):
        assert (await client.publish(1)).status == 202


def test_a_nats_server_without_jetstream_is_said_with_how_it_is_started(tmp_path: Path) -> None:
    port = free_port()
    command = ["nats-server", "-a", "127.0.0.1", "-p", f"{port}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr
        try:
            assert any(b"Server is ready" in line for line in process.stderr)
            with pytest.raises(StoresError, match="does not offer JetStream") as refused:
                asyncio.run(Broker.open(tmp_path / "e", Limits(), Surroundings(), f"nats://127.0.0.1:{port}"))
            assert "nats-server -js" in refused.value.hint
        finally:
            process.kill()


@pytest.mark.parametrize("kind", ["nats", "redis"])
async def test_a_server_that_is_not_there_is_said_with_the_reason(kind: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="onnect"):
        await Broker.open(tmp_path / "e", Limits(), Surroundings(), f"{kind}://127.0.0.1:{free_port()}")


async def test_whoever_waits_in_line_is_told_when_the_broker_ends(
    server: EngineServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_log, "_GRACE", 0.1)
    assert server.process
    async with running(tmp_path / "e", engine=server.url) as (broker, _):
        server.process.send_signal(signal.SIGSTOP)
        large = [Event(structured(id=f"{number}"), b"x" * 300_000) for number in range(4)]
        waiting = [asyncio.create_task(broker.log.append([one])) for one in large]
        await until(broker.log._lock.locked, "the server was asked")
    answers = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
    assert {type(answer) for answer in answers} == {StorageError}
