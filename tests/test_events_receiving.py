"""Events from a remote behind whatever stands between: held-back streams, cuts, another broker, another log."""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from events_world import Client, Receiver, free_port, running, subscriber, until
from holding_proxy import WAYS, holding

from proxy_addons.events import receiving, remote_poll, remote_stream
from proxy_addons.events.broker import Broker
from proxy_addons.events.database import MIGRATIONS, Database
from proxy_addons.events.http_connection import Place
from proxy_addons.events.http_message import Request, Response
from proxy_addons.events.http_server import HttpServer
from proxy_addons.events.receiving import RECEIVE
from proxy_addons.events.remote import Remote
from proxy_addons.listening import bound

STREAM, POLL = "stream", "long poll"


def remote(port: int, token: str = "") -> Remote:
    return Remote(f"http://127.0.0.1:{port}", Place((("127.0.0.1", port),)), token=token)


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is slow: what does not come in half a second is held back."""
    monkeypatch.setattr(remote_stream, "_HEAD", 0.5)
    monkeypatch.setattr(remote_stream, "_FIRST", 0.5)


async def received_by(near: Broker, way: str) -> None:
    await until(lambda: near.link.receiving and near.link.receiving.way == way, f"events come by {way}")


@asynccontextmanager
async def asking(answer: Callable[[Request], Awaitable[Response]]) -> AsyncIterator[int]:
    """A server that answers as it is told; its port."""
    server, listeners = HttpServer(answer), bound([0])
    await server.serve(listeners)
    try:
        yield listeners[0].getsockname()[1]
    finally:
        await server.close(0.1)


async def ids_in(broker: Broker) -> list[str]:
    return [str(stored.event.attributes["id"]) for stored in await broker.log.read(0, 1000)]


async def publish(client: Client, begin: int, end: int) -> None:
    for number in range(begin, end):
        assert (await client.publish(number, id=f"{number}")).status == 202


@pytest.mark.parametrize("way", WAYS)
async def test_a_proxy_that_holds_back_streams_holds_back_no_event(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    async with running(tmp_path / "far") as (_, far), holding(far.port, way) as (proxy, port):
        with Receiver() as desk:
            async with running(tmp_path / "near", remote=remote(port)) as (near, client):
                await near.follow([desk.as_subscriber()])
                await received_by(near, POLL)
                await publish(far, 0, 5)
                assert sorted(int(got.body) for got in await desk.wait_for(5)) == [0, 1, 2, 3, 4]
                health = (await client.call("GET", "/healthz")).json
                assert health["status"] == "ok"
                assert health["remote"]["receiving"] == POLL
                assert health["remote"]["because"].startswith("its stream")
        assert proxy.streams == 1, "it is not tried again and again"
    (said,) = [record.message for record in caplog.records if "long poll" in record.message]
    assert f"Events of 127.0.0.1:{port} come by long poll: {health['remote']['because']}. The stream" in said


async def test_where_streams_pass_the_stream_is_the_way_and_its_first_byte_comes_at_once(tmp_path: Path) -> None:
    async with (
        running(tmp_path / "far") as (_, far),
        running(tmp_path / "near", remote=remote(far.port)) as (near, client),
    ):
        await near.follow([subscriber()])
        await received_by(near, STREAM)
        known = (await client.call("GET", "/healthz")).json["remote"]
        ways = {"receiving": STREAM, "because": "", "forward": "off", "receive": "ok"}
        assert known == {"url": f"http://127.0.0.1:{far.port}", **ways}


async def test_what_answers_with_json_where_a_stream_is_asked_for_is_polled(tmp_path: Path) -> None:
    async with running(tmp_path / "far") as (far_broker, far):

        async def without_accept(request: Request) -> Response:
            request.headers = [one for one in request.headers if one[0] != b"accept"]
            return await far_broker.answer(request)

        async with asking(without_accept) as port, running(tmp_path / "near", remote=remote(port)) as (near, _):
            await near.follow([subscriber()])
            await received_by(near, POLL)
            await publish(far, 0, 2)
            await until(lambda: near.log.last == 2, "they came")


async def test_neither_a_change_of_ways_nor_a_break_loses_or_doubles_an_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "_STREAM_AGAIN", 0.3)
    monkeypatch.setattr(remote_poll, "_WAIT", 0.2)
    port = free_port()
    ways = set()
    async with running(tmp_path / "far", port=port) as (_, far), holding(port, "body") as (proxy, between):
        with Receiver() as desk:
            async with running(tmp_path / "near", remote=remote(between)) as (near, _):
                await near.follow([desk.as_subscriber()])
                await received_by(near, POLL)
                for begin in range(0, 60, 10):
                    await publish(far, begin, begin + 5)
                    ways.add(near.link.receiving.way if near.link.receiving else "")
                    proxy.way = "" if proxy.way else "body"
                    proxy.cut_all()
                    await publish(far, begin + 5, begin + 10)
                    if not proxy.way:
                        await received_by(near, STREAM)
                await desk.wait_for(60)
                await near.subscriptions.lanes["shop"].drained()
                assert await ids_in(near) == [f"{number}" for number in range(60)]
                assert len(desk.got) == 60
    assert {STREAM, POLL} <= ways


async def test_a_remote_that_is_killed_while_it_is_polled_is_found_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    async with (
        holding(port, "head") as (proxy, between),
        running(tmp_path / "near", remote=remote(between)) as (near, client),
    ):
        async with running(tmp_path / "far", port=port) as (_, far):
            await near.follow([subscriber()])
            await received_by(near, POLL)
            await publish(far, 0, 3)
            await until(lambda: near.log.last == 3, "they came")
        proxy.cut_all()
        await until(lambda: RECEIVE in near.link.problems, "it is said")
        assert (await client.call("GET", "/healthz")).json["status"] == "degraded"
        async with running(tmp_path / "far", port=port) as (_, far):
            await publish(far, 3, 6)
            await until(lambda: near.log.last == 6, "it caught up")
            assert near.link.problems == {}
            said = [record.message for record in caplog.records]
        assert await ids_in(near) == ["0", "1", "2", "3", "4", "5"]
    assert sum("No events from the remote" in message for message in said) == 1
    assert sum("come again, by long poll" in message for message in said) == 1


async def test_a_refusal_stops_the_polls_and_says_what_to_do(tmp_path: Path) -> None:
    async with running(tmp_path / "far") as (far_broker, _):
        open_, asked = True, 0

        async def guarded(request: Request) -> Response:
            nonlocal asked
            request.headers = [one for one in request.headers if one[0] != b"accept"]
            asked += 1
            return await far_broker.answer(request) if open_ else Response(401)

        async with asking(guarded) as port, running(tmp_path / "near", remote=remote(port, "t")) as (near, client):
            await near.follow([subscriber()])
            await received_by(near, POLL)
            open_ = False
            await near.follow([subscriber(types=("com.other",))])  # asks anew
            await until(lambda: near.link.problems, "it stopped")
            assert "refuses our token. Set STORES_EVENTS_TOKEN" in near.link.problems[RECEIVE]
            count = asked
            await near.follow([subscriber(types=("com.third",))])
            await client.publish(1)
            assert asked == count


async def test_a_remote_with_smaller_pages_than_were_asked_for_is_read_to_its_end(tmp_path: Path) -> None:
    async with running(tmp_path / "far") as (far_broker, far):

        async def small(request: Request) -> Response:
            request.headers = [one for one in request.headers if one[0] != b"accept"]
            request.query["limit"] = "3"
            return await far_broker.answer(request)

        async with asking(small) as port, running(tmp_path / "near", remote=remote(port)) as (near, _):
            await near.follow([subscriber()])
            await received_by(near, POLL)
            await near.link.close()
            await publish(far, 0, 10)
            await near.link.connect(remote(port))
            await until(lambda: near.log.last == 10, "all pages")
            assert await ids_in(near) == [f"{number}" for number in range(10)]


@pytest.mark.parametrize("patient", [True, False], ids=["waits", "answers at once"])
async def test_a_quiet_remote_is_not_asked_again_and_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    patient: bool,  # noqa: FBT001 - a column of the table
) -> None:
    monkeypatch.setattr(remote_poll, "_FIRST_PAUSE", 0.4)
    pages = 0
    async with running(tmp_path / "far") as (far_broker, far):

        async def counting(request: Request) -> Response:
            nonlocal pages
            request.headers = [one for one in request.headers if one[0] != b"accept"]
            pages += "wait" in request.query
            if not patient:
                request.query.pop("wait", None)
            return await far_broker.answer(request)

        async with asking(counting) as port, running(tmp_path / "near", remote=remote(port)) as (near, _):
            await near.follow([subscriber(types=("com.wanted",))])
            await until(lambda: pages, "it polls")
            for number in range(20):  # each of them would end a wait that looks at nothing
                await far.publish(number, type="com.other")
            asked = pages
            assert asked <= 2
            await far.publish(1, type="com.wanted")
            await until(lambda: near.log.last == 1, "it came")
            assert pages <= asked + 3


async def test_a_question_that_a_proxy_cuts_is_asked_for_a_shorter_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_poll, "_LEAST_WAIT", 0.2)
    waits: list[float] = []
    async with running(tmp_path / "far") as (far_broker, far):

        async def impatient(request: Request) -> Response:
            request.headers = [one for one in request.headers if one[0] != b"accept"]
            if "wait" in request.query:
                waits.append(float(request.query["wait"]))
                if waits[-1] > 4:
                    return Response(504)
            return await far_broker.answer(request)

        async with asking(impatient) as port, running(tmp_path / "near", remote=remote(port)) as (near, _):
            await near.follow([subscriber()])
            await until(lambda: len(waits) > 4, "it asks for less")
            await publish(far, 0, 1)
            await until(lambda: near.log.last == 1, "it came")
            assert waits[:5] == [0, 25, 12.5, 6.25, 3.125]
            assert near.link.problems == {}


async def test_a_page_keeps_data_as_it_was_sent_and_ends_after_so_many_bytes(tmp_path: Path) -> None:
    big = b'{"n": 1e400, "text": "' + b"x" * 900_000 + b'"}'
    async with (
        running(tmp_path / "far") as (_, far),
        holding(far.port, "head") as (_, port),
        running(tmp_path / "near", remote=remote(port)) as (near, _),
    ):
        await near.follow([subscriber()])
        await received_by(near, POLL)
        await near.link.close()
        for number in range(7):
            headers = {"ce-specversion": "1.0", "ce-type": "t", "ce-source": "/s", "ce-id": f"{number}"}
            await far.call("POST", "/v1/events", big, headers | {"Content-Type": "application/json"})
        page = (await far.call("GET", "/v1/events?after=0")).json
        assert [one["seq"] for one in page["events"]] == [1, 2, 3, 4, 5], "4 MiB, and what goes beyond"
        await near.link.connect(remote(port))
        await until(lambda: near.log.last == 7, "they came")
        assert {stored.event.data for stored in await near.log.read(0, 10)} == {big}


async def places(near: Broker) -> dict[str, tuple[str, int]]:
    rows = await near.writer.submit(lambda one: one.execute("SELECT log, url, cursor FROM remotes").fetchall())
    return {log: (url, cursor) for log, url, cursor in rows}


async def test_another_remote_has_its_own_place_and_the_first_keeps_its(tmp_path: Path) -> None:
    async with (
        running(tmp_path / "a") as (a, one),
        running(tmp_path / "b") as (b, two),
        running(tmp_path / "near", remote=remote(one.port)) as (near, _),
    ):
        await near.follow([subscriber()])
        await received_by(near, STREAM)
        await publish(one, 0, 5)
        await until(lambda: near.log.last == 5, "five of the first")
        await two.publish("before us", id="old")
        await near.link.connect(remote(two.port))
        await received_by(near, STREAM)
        await two.publish(1, id="of two")
        await until(lambda: near.log.last == 6, "one of the second, whose second place it is")
        await publish(one, 5, 7)
        await near.link.connect(remote(one.port))
        await until(lambda: near.log.last == 8, "the first goes on where it was")
        assert await ids_in(near) == ["0", "1", "2", "3", "4", "of two", "5", "6"]
        assert {log: cursor for log, (_, cursor) in (await places(near)).items()} == {
            a.progress.log_id: 7,
            b.progress.log_id: 2,
        }


async def test_the_place_of_an_older_version_is_that_of_the_remote_which_answers(tmp_path: Path) -> None:
    database = Database(tmp_path / "near")
    database.close()
    with sqlite3.connect(tmp_path / "near") as old:  # as the second schema was
        old.execute("DROP TABLE remotes")
        old.execute("CREATE TABLE remotes (name TEXT PRIMARY KEY, cursor INTEGER NOT NULL) WITHOUT ROWID")
        old.execute("INSERT INTO remotes VALUES ('remote:receive', 2)")
        old.execute("PRAGMA user_version = 2")
    old.close()
    async with running(tmp_path / "far") as (far_broker, far):
        await publish(far, 0, 4)
        async with running(tmp_path / "near", remote=remote(far.port)) as (near, _):
            assert (await near.writer.submit(lambda one: one.execute("PRAGMA user_version").fetchone()[0])) == len(
                MIGRATIONS
            )
            await near.follow([subscriber()])
            await until(lambda: near.log.last == 2, "what came after the kept place")
            assert await ids_in(near) == ["2", "3"]
            assert await places(near) == {far_broker.progress.log_id: (f"http://127.0.0.1:{far.port}", 4)}


@pytest.mark.parametrize("way", ["", "head"], ids=[STREAM, POLL])
async def test_a_remote_whose_log_began_anew_is_noticed_and_read_from_its_first_event(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    port = free_port()
    async with (
        holding(port, way) as (proxy, between),
        running(tmp_path / "near", remote=remote(between)) as (near, _),
    ):
        async with running(tmp_path / "far" / "e", port=port) as (_, far):
            await near.follow([subscriber()])
            await received_by(near, POLL if way else STREAM)
            await publish(far, 0, 3)
            await until(lambda: near.log.last == 3, "they came")
        shutil.rmtree(tmp_path / "far")
        proxy.cut_all()
        async with running(tmp_path / "far" / "e", port=port) as (_, far):
            await publish(far, 2, 6)
            await until(lambda: near.log.last == 6, "what is new came, and what is known did not")
        assert await ids_in(near) == ["0", "1", "2", "3", "4", "5"]
    assert any("it has another log than before" in record.message for record in caplog.records)


async def test_a_place_beyond_the_end_of_the_log_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running(tmp_path / "far") as (far_broker, far):
        await publish(far, 0, 2)
        async with running(tmp_path / "near") as (near, _):
            row = (far_broker.progress.log_id, "http://elsewhere", 1000)
            await near.writer.submit(lambda one: one.execute("INSERT INTO remotes VALUES (?, ?, ?)", row))
            await near.follow([subscriber()])
            with caplog.at_level(logging.WARNING):
                await near.link.connect(remote(far.port))
                await until(lambda: near.log.last == 2, "it begins anew")
    assert any("ends at 2, and 1000 of it were read here: it has begun anew" in one.message for one in caplog.records)


async def test_a_log_that_is_replaced_between_two_polls_is_not_taken_for_the_same(tmp_path: Path) -> None:
    async with running(tmp_path / "a") as (a, one), running(tmp_path / "b") as (b, two):
        behind = a

        async def switched(request: Request) -> Response:
            request.headers = [one for one in request.headers if one[0] != b"accept"]
            return await behind.answer(request)

        async with asking(switched) as port, running(tmp_path / "near", remote=remote(port)) as (near, _):
            await near.follow([subscriber()])
            await received_by(near, POLL)
            for number in range(5):
                await two.publish(number, id=f"b{number}")
            behind = b
            await one.publish(1, id="a1")  # ends the poll that waits at the first one
            await until(lambda: near.log.last >= 6, "all of the second one too")
            assert set(await ids_in(near)) == {"a1", "b0", "b1", "b2", "b3", "b4"}


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"broker": "b", "log": "l", "last": 1e400}',
        b'{"broker": "b", "log": "l", "last": 1' + b"0" * 30 + b"}",
        b"\xff\xfe{",
        b"<h1>Sign in</h1>",
    ],
    ids=["brackets", "infinity", "a number too large", "no UTF-8", "a page"],
)
async def test_garbage_is_said_and_does_not_end_the_receiving(tmp_path: Path, body: bytes) -> None:
    async with running(tmp_path / "far") as (far_broker, far):
        garbled = True

        async def answer(request: Request) -> Response:
            return Response(200, body) if garbled else await far_broker.answer(request)

        async with asking(answer) as port, running(tmp_path / "near", remote=remote(port)) as (near, client):
            await near.follow([subscriber()])
            problem: Any = await until(lambda: near.link.problems.get(RECEIVE), "it is said")
            assert "sends what cannot be read" in problem
            garbled = False
            await received_by(near, STREAM)
            await far.publish(1, id="after it")
            await until(lambda: near.log.last == 1, "it goes on")
            assert (await client.call("GET", "/healthz")).json["status"] == "ok"


async def test_a_place_that_no_file_can_hold_is_said(tmp_path: Path) -> None:
    async with running(tmp_path / "far") as (far_broker, _):

        async def far_off(request: Request) -> Response:
            response = await far_broker.answer(request)
            if request.path == "/v1/events":
                event = b'{"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}'
                response = Response(200, stream=_pieces(b"id: 1" + b"0" * 30 + b"\ndata: " + event + b"\n\n"))
                response.headers["Content-Type"] = "text/event-stream"
            return response

        async with asking(far_off) as port, running(tmp_path / "near", remote=remote(port)) as (near, _):
            await near.follow([subscriber()])
            await until(lambda: near.link.problems.get(RECEIVE), "it is said")
            assert near.log.last == 0, "nothing without its place"


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_what_is_no_broker_is_said_to_be_none(tmp_path: Path) -> None:
    async def shop(_: Request) -> Response:
        return Response(200, json.dumps({"welcome": "to the shop"}).encode())

    async with asking(shop) as port, running(tmp_path / "near", remote=remote(port)) as (near, _):
        await near.follow([subscriber()])
        problem: Any = await until(lambda: near.link.problems.get(RECEIVE), "it is said")
        assert "sends what cannot be read: its /healthz is none of an event broker" in problem
