"""Looking and steering over HTTP: pages, waiting, the stream, subscriptions, replay, metrics."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from events_world import Client, Receiver, headers_of, running, structured, subscriber, until

from proxy_addons.events import steering
from proxy_addons.events.http_connection import Place
from proxy_addons.events.remote import Remote

BATCH = {"Content-Type": "application/cloudevents-batch+json"}


async def fill(client: Client, count: int, **attributes: Any) -> None:
    for begin in range(0, count, 500):
        events = [structured(data=n, **attributes) for n in range(begin, min(begin + 500, count))]
        assert (await client.call("POST", "/v1/events", events, BATCH)).status == 202


async def page(client: Client, query: str) -> Any:
    return (await client.call("GET", f"/v1/events?{query}")).json


async def test_the_log_is_read_page_by_page(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (_, client):
        await fill(client, 250)
        seen, after = [], 0
        while True:
            told = await page(client, f"after={after}&limit=100")
            seen += [one["event"]["data"] for one in told["events"]]
            after = told["after"]
            if not told["events"]:
                break
        assert seen == list(range(250))
        assert (after, told["last"]) == (250, 250)
        assert [one["seq"] for one in (await page(client, "after=-2"))["events"]] == [249, 250]


async def test_a_page_can_be_of_one_type(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (_, client):
        await fill(client, 300, type="com.a.x")
        await client.publish("last", type="org.b")
        told = await page(client, "after=0&type=org.*,net.**")
        assert [one["event"]["data"] for one in told["events"]] == ["last"]
        assert told["after"] == 301


async def test_a_page_can_be_of_one_source_subject_or_id(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (_, client):
        for number in range(4):
            await client.publish(number, id=f"i{number}", source=f"/shop/{number % 2}", subject=f"s{number // 2}")

        async def found(query: str) -> list[Any]:
            return [one["event"]["data"] for one in (await page(client, query))["events"]]

        assert await found("source=/shop/1") == [1, 3]
        assert await found("subject=s1") == [2, 3]
        assert await found("source=/shop/1&subject=s1&type=com.**") == [3]
        assert await found("id=i2") == [2]
        assert await found("id=i") == []


async def test_a_question_can_wait_for_the_next_event(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        begun = time.monotonic()
        waiting = asyncio.create_task(page(client, "after=0&wait=20"))
        await until(lambda: broker.tail._waiting, "it waits")
        await client.publish("now")
        assert [one["event"]["data"] for one in (await waiting)["events"]] == ["now"]
        assert time.monotonic() - begun < 10
        assert (await page(client, "after=1&wait=0.05"))["events"] == []


async def test_a_wrong_question_is_400_and_names_what_is_wrong(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        await broker.subscriptions.follow([subscriber("shop")])
        for method, path, named in (
            ("GET", "/v1/events?after=x", "after"),
            ("GET", "/v1/events?limit=x", "limit"),
            ("GET", "/v1/events?wait=-1", "wait"),
            ("GET", "/v1/deadletters?limit=0", "limit"),
            ("GET", f"/v1/deadletters?after={'9' * 30}x", "after"),
            ("POST", f"/v1/subscriptions/shop/seek?to={'9' * 5000}", "a place (17)"),
            ("GET", "/v1/events?wait=nan", "wait"),
            ("GET", "/v1/deadletters?limit=many", "limit"),
            ("POST", "/v1/deadletters/retry", "?number=1,2"),
            ("POST", "/v1/deadletters/retry?number=1,x", "?number=1,2"),
            ("POST", "/v1/deadletters/drop?number=x", "?number=1,2"),
            ("POST", "/v1/subscriptions/shop/drain?wait=nan", "wait"),
            ("POST", "/v1/subscriptions/shop/seek", "a place (17)"),
            ("POST", "/v1/subscriptions/shop/replay?from=noon", "a place (17)"),
        ):
            answer = await client.call(method, path)
            assert (answer.status, named in answer.json["detail"]) == (400, True), path
        sse = {"Accept": "text/event-stream", "Last-Event-ID": "x"}
        assert (await client.call("GET", "/v1/events", None, sse)).status == 400


async def test_every_endpoint_says_which_methods_it_takes_and_who_may_use_it(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        await broker.subscriptions.follow([subscriber("shop")])
        steering = [f"/v1/subscriptions/shop/{verb}" for verb in ("pause", "resume", "seek", "replay", "drain")]
        posted = [*steering, "/v1/deadletters/retry", "/v1/deadletters/drop"]
        read = ["/v1/subscriptions", "/v1/subscriptions/shop", "/v1/deadletters", "/healthz", "/metrics"]
        for path in (*posted, *read, "/v1/events"):
            allowed = "GET, HEAD, POST" if path == "/v1/events" else "POST" if path in posted else "GET, HEAD"
            answer = await client.call("PUT", path)
            assert (answer.status, answer.headers["Allow"]) == (405, allowed), path
            rebound = await client.call("POST" if path in posted else "GET", path, None, {"Host": "evil.example.net"})
            assert rebound.status == 421, path
        for path in (*posted, "/v1/events"):
            foreign = await client.call("POST", path, None, {"Origin": "https://evil.example.net"})
            assert foreign.status == 403, path
        for path in (*read, "/v1/events"):
            answer = await client.call("HEAD", path)
            assert (answer.status, answer.body) == (200, b""), path


async def test_subscriptions_and_dead_letters_are_told_by_name(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver(lambda got: 400) as shop:
            await broker.subscriptions.follow([shop.as_subscriber(), subscriber("desk")])
            await client.publish("refused", id="r")
            await broker.subscriptions.lanes["shop"].drained()
            told = (await client.call("GET", "/v1/subscriptions")).json["subscriptions"]
            assert [(one["name"], one["state"], one["dead"]) for one in told] == [
                ("desk", "waiting", 0),
                ("shop", "idle", 1),
            ]
            assert (await client.call("GET", "/v1/subscriptions/desk")).json == told[0]
            assert told[0]["problem"] == "it does not run"
            (letter,) = (await client.call("GET", "/v1/deadletters?subscription=shop")).json["deadletters"]
            assert (letter["event"]["id"], letter["status"], letter["attempts"]) == ("r", 400, 1)
            assert (await client.call("GET", "/v1/deadletters?subscription=desk")).json["deadletters"] == []
            answer = await client.call("GET", "/v1/deadletters?subscription=dexk")
            assert (answer.status, "desk, shop" in answer.json["detail"]) == (404, True)
            assert (await client.call("POST", "/v1/deadletters/retry?subscription=dexk")).status == 404


async def test_all_dead_letters_of_a_subscription_are_meant_however_many_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steering, "_MOST_LETTERS", 3)
    async with running(tmp_path / "e") as (broker, client):
        status = 400
        with Receiver(lambda got: status) as shop:
            await broker.subscriptions.follow([shop.as_subscriber()])
            await fill(client, 8)
            lane = broker.subscriptions.lanes["shop"]
            await lane.drained()
            seen: list[int] = []
            while page := (await client.call("GET", f"/v1/deadletters?after={max(seen, default=0)}")).json[
                "deadletters"
            ]:
                seen += [one["number"] for one in page]
            assert seen == [1, 2, 3, 4, 5, 6, 7, 8]
            # what is refused once more has a new number, and is not taken up again and again
            assert (await client.call("POST", "/v1/deadletters/retry?subscription=shop")).json == {"retried": 8}
            await lane.drained()
            assert len(shop.got) == 16
            told = (await client.call("GET", "/v1/deadletters?number=9,11&subscription=shop")).json["deadletters"]
            assert [one["number"] for one in told] == [9, 11]
            assert (await client.call("GET", "/v1/deadletters?number=9&subscription=desk")).status == 404
            assert (await client.call("POST", "/v1/deadletters/drop?number=9")).json == {"dropped": 1}
            assert (await client.call("POST", "/v1/deadletters/drop?subscription=shop")).json == {"dropped": 7}


async def test_what_a_subscriber_answered_is_kept_without_what_a_terminal_would_obey(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        said = "\x1b]0;title\x07no such customer\x9b31m \u202e東京\n".encode()
        with Receiver(lambda got: (400, {}, said)) as shop:
            await broker.subscriptions.follow([shop.as_subscriber()])
            await client.publish(1)
            await broker.subscriptions.lanes["shop"].drained()
            (letter,) = (await client.call("GET", "/v1/deadletters")).json["deadletters"]
            assert letter["reason"] == "\ufffd]0;title\ufffdno such customer\ufffd31m \ufffd東京"


async def test_a_log_that_cannot_be_read_is_503_and_no_fault_of_the_broker(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        await broker.subscriptions.follow([subscriber("shop")])
        await client.publish(1)
        await broker.writer.submit(lambda one: one.execute("ALTER TABLE events RENAME TO gone"))
        for method, path in (
            ("POST", "/v1/subscriptions/shop/replay?from=0"),
            ("POST", "/v1/subscriptions/shop/seek?to=2026-11-23T09:00:00Z"),
        ):
            answer = await client.call(method, path)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "30"), path
        assert (await client.call("GET", "/healthz?facts=no")).status == 200


async def test_a_name_in_a_path_is_read_as_it_was_meant(tmp_path: Path) -> None:
    there = Remote("http://127.0.0.1:1", Place((("127.0.0.1", 1),)), ("**",), receive=False)
    async with running(tmp_path / "e", remote=there) as (_, client):
        for path in ("/v1/subscriptions/remote:forward", "/v1/subscriptions/remote%3Aforward"):
            assert (await client.call("GET", path)).json["name"] == "remote:forward"
        answer = await client.call("GET", "/v1/subscriptions/no%20such%20%E5%90%8D")
        assert answer.json["detail"].startswith("no such 名 subscribes to nothing")


async def test_health_says_what_is_wrong_and_what_to_type(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        health = (await client.call("GET", "/healthz")).json
        assert (health["status"], health["engine"], health["where"]) == ("ok", "sqlite", str(tmp_path / "e"))
        assert (health["waiting"], health["problems"], health["hints"], health["remote"]) == (0, {}, {}, None)
        with Receiver(lambda got: 410) as shop:
            await broker.subscriptions.follow([shop.as_subscriber(), subscriber("desk")])
            await client.publish("the last one")
            await until(lambda: broker.subscriptions.lanes["shop"].standing.ended, "it ends")
        health = (await client.call("GET", "/healthz?facts=no")).json
        assert (health["status"], health["waiting"]) == ("degraded", 1)
        assert "410" in health["problems"]["shop"]
        assert health["hints"] == {"shop": "stores events resume shop"}
        assert "bytes" not in health


async def stream(client: Client, count: int, headers: str = "") -> list[tuple[int, Any]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(f"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{headers}\r\n".encode())
    found: list[tuple[int, Any]] = []
    place = 0
    while len(found) < count:
        line = (await asyncio.wait_for(reader.readline(), 20)).decode().strip()
        if line.startswith("id: "):
            place = int(line[4:])
        if line.startswith("data: "):
            found.append((place, json.loads(line[6:])))
    writer.close()
    return found


async def test_the_stream_tells_what_comes_and_goes_on_after_the_last_id(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        await client.publish("before")
        following = asyncio.create_task(stream(client, 2))
        await until(lambda: broker.tail._waiting, "it follows")
        await client.publish("first")
        await client.call(
            "POST", "/v1/events", '{"specversion": "1.0", "id": "x", "source": "/s", "type": "t", "data": [\n1,\r\n2]}',
            {"Content-Type": "application/cloudevents+json"},
        )  # fmt: skip
        assert [(seq, event["data"]) for seq, event in await following] == [(2, "first"), (3, [1, 2])]
        assert [seq for seq, _ in await stream(client, 2, "Last-Event-ID: 1\r\n")] == [2, 3]


async def test_a_slow_reader_of_the_stream_costs_no_memory_and_nobody_else(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port, limit=1024)
        writer.write(b"GET /v1/events?after=0 HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
        await reader.readline()
        for _ in range(20):
            await client.publish("x" * 500_000)
        assert broker.log.last == 20
        writer.close()


async def test_pause_and_resume(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver() as shop:
            await broker.subscriptions.follow([shop.as_subscriber()])
            assert (await client.call("POST", "/v1/subscriptions/shop/pause")).json["state"] == "paused"
            await client.publish(1)
            drained = await client.call("POST", "/v1/subscriptions/shop/drain?wait=0.1")
            assert drained.status == 504
            assert shop.got == []
            await client.call("POST", "/v1/subscriptions/shop/resume")
            assert (await client.call("POST", "/v1/subscriptions/shop/drain?wait=10")).json["waiting"] == 0
            assert len(shop.got) == 1


async def test_seek_goes_back_and_forward(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver() as shop:
            await broker.subscriptions.follow([shop.as_subscriber(order="all")])
            await fill(client, 5)
            await shop.wait_for(5)
            await client.call("POST", "/v1/subscriptions/shop/seek?to=3")
            assert [got.body for got in (await shop.wait_for(7))[5:]] == [b"3", b"4"]
            await broker.subscriptions.follow([subscriber("shop", order="all")])
            await fill(client, 5)
            await client.call("POST", "/v1/subscriptions/shop/seek?to=last")
            await broker.subscriptions.follow([shop.as_subscriber(order="all")])
            await client.publish("new")
            assert (await shop.wait_for(8))[7].body == b'"new"'
            assert (await client.call("POST", "/v1/subscriptions/shop/seek?to=yesterday")).status == 400


async def test_replay_delivers_a_part_once_more(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver() as shop:
            await broker.subscriptions.follow([shop.as_subscriber(order="all", types=("com.example.*",))])
            await fill(client, 6, type="com.example.test")
            await client.publish("not for it", type="org.x")
            await shop.wait_for(6)
            told = (await client.call("POST", "/v1/subscriptions/shop/replay?from=2&to=4")).json
            assert told["replayed"] == 2
            assert [got.body for got in (await shop.wait_for(8))[6:]] == [b"2", b"3"]
            await broker.subscriptions.lanes["shop"].drained()
            assert broker.subscriptions.lanes["shop"].standing.cursor == 7


async def test_an_unknown_subscription_is_404_with_the_known_ones(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        await broker.subscriptions.follow([subscriber("desk")])
        answer = await client.call("POST", "/v1/subscriptions/shop/pause")
        assert answer.status == 404
        assert "desk" in answer.json["detail"]


async def test_another_sites_page_may_not_steer(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        await broker.subscriptions.follow([subscriber("desk")])
        foreign = {"Origin": "https://evil.example.net"}
        assert (await client.call("POST", "/v1/subscriptions/desk/pause", None, foreign)).status == 403


async def test_metrics_count_what_happened(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver(lambda got: 400 if got.id == "bad" else 204) as shop:
            await broker.subscriptions.follow([shop.as_subscriber()])
            await client.publish(1, id="good")
            await client.publish(1, id="bad")
            await client.publish(1, id="bad")
            await client.call("POST", "/v1/events", b"", headers_of(type=""))
            await broker.subscriptions.lanes["shop"].drained()
            text = (await client.call("GET", "/metrics")).body.decode()
        for line in (
            'stores_events_published_total{result="accepted"} 3',
            'stores_events_published_total{result="duplicates"} 1',
            'stores_events_published_total{result="refused"} 1',
            'stores_events_deliveries_total{subscription="shop",result="delivered"} 1',
            'stores_events_deliveries_total{subscription="shop",result="dead"} 1',
            'stores_events_waiting{subscription="shop"} 0',
        ):
            assert line in text
