"""From the log to the subscriber: what is sent, what an answer means, what waits, and in which order."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import random
import threading
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from events_world import Delivery, Receiver, free_port, running, structured, subscriber, until

from procman.subscription import Subscription
from proxy_addons.events import matching, outcome
from proxy_addons.events.event import Event
from proxy_addons.events.outcome import Verdict

BATCH = {"Content-Type": "application/cloudevents-batch+json"}


async def test_an_event_reaches_its_subscriber_as_it_was_sent(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver() as shop:
            await broker.subscriptions.follow([shop.as_subscriber(deliver="/hooks?x=1")])
            trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            await client.publish(
                {"order": "数"}, id="o-1", subject="Euro%20%E2%82%AC%20%F0%9F%98%80", traceparent=trace
            )
            (got,) = await shop.wait_for(1)
            assert (got.method, got.path) == ("POST", "/hooks?x=1")
            assert json.loads(got.body) == {"order": "数"}
            assert got.headers["Content-Type"] == "application/json"
            assert got.headers["Host"] == "shop.local.example.com"
            assert got.headers["ce-subject"] == "Euro%20%E2%82%AC%20%F0%9F%98%80"
            assert got.headers["ce-traceparent"] == trace
            stores = [got.headers[f"Stores-{name}"] for name in ("Subscription", "Sequence", "Attempt")]
            assert stores == ["shop", "1", "1"]


async def test_structured_delivery_puts_everything_into_the_body(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver() as shop:
            await broker.subscriptions.follow([shop.as_subscriber(mode="structured")])
            await client.publish({"order": 1}, id="o-1")
            (got,) = await shop.wait_for(1)
            assert got.headers["Content-Type"].startswith("application/cloudevents+json")
            assert json.loads(got.body)["data"] == {"order": 1}


async def test_fan_out_costs_no_copy_and_each_gets_its_own(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver() as shop, Receiver() as desk:
            await broker.subscriptions.follow(
                [shop.as_subscriber("shop", types=("com.a.*",)), desk.as_subscriber("desk", types=("com.**",))]
            )
            for type_ in ("com.a.x", "com.b.x", "org.x", "com.a.x.y"):
                await client.publish(1, type=type_)
            await desk.wait_for(3)
            await broker.subscriptions.lanes["shop"].drained()
            assert [got.headers["ce-type"] for got in shop.got] == ["com.a.x"]
            assert broker.log.last == 4


# The table of Knative's data plane contract ("Event Delivery"), and what our own issue adds to it.
@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((status, Verdict.DONE) for status in (200, 201, 202, 204)),
        *((status, Verdict.RETRY) for status in (404, 408, 409, 429, 500, 502, 503, 504, 599)),
        *((status, Verdict.DEAD) for status in (300, 301, 302, 304, 307, 308)),
        *((status, Verdict.DEAD) for status in (400, 401, 403, 405, 413, 415, 422, 451)),
        (410, Verdict.GONE),
    ],
)
def test_the_table_of_answers(status: int, verdict: Verdict) -> None:
    assert outcome.of_status(status).verdict is verdict


@pytest.mark.parametrize("status", [404, 408, 409, 429, 500, 503])
async def test_what_may_pass_is_tried_again(tmp_path: Path, status: int) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver() as shop:
            shop.reply = lambda got: status if got.headers["Stores-Attempt"] < "3" else 204
            await broker.subscriptions.follow([shop.as_subscriber()])
            await client.publish(1)
            got = await shop.wait_for(3)
            assert [one.headers["Stores-Attempt"] for one in got] == ["1", "2", "3"]
            assert len({one.id for one in got}) == 1
            await broker.subscriptions.lanes["shop"].drained()
            assert broker.subscriptions.lanes["shop"].parked == 0


@pytest.mark.parametrize("status", [302, 400, 401, 422])
async def test_what_will_not_pass_is_a_dead_letter_at_once(tmp_path: Path, status: int) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver(lambda _: (status, {"Location": "/x"}, b"no such order")) as shop:
            await broker.subscriptions.follow([shop.as_subscriber()])
            await client.publish({"order": 1}, id="bad")
            await shop.wait_for(1)
            await broker.subscriptions.lanes["shop"].drained()
            (letter,) = (await client.call("GET", "/v1/deadletters?subscription=shop")).json["deadletters"]
            assert (letter["status"], letter["attempts"], letter["reason"]) == (status, 1, "no such order")
            assert letter["event"]["data"] == {"order": 1}
            assert len(shop.got) == 1


async def test_after_the_last_attempt_it_is_a_dead_letter_and_its_key_goes_on(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver(lambda got: 500 if got.id == "poison" else 204) as shop:
            await broker.subscriptions.follow([shop.as_subscriber(retries=2)])
            await client.publish(1, id="poison", subject="k")
            await client.publish(2, id="next", subject="k")
            got = await shop.wait_for(4)
            assert [one.id for one in got] == ["poison"] * 3 + ["next"]
            await broker.subscriptions.lanes["shop"].drained()
            (letter,) = (await client.call("GET", "/v1/deadletters")).json["deadletters"]
            assert (letter["attempts"], letter["status"]) == (3, 500)


async def test_a_dead_letter_can_be_tried_again_or_dropped(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver(lambda _: 400) as shop:
            await broker.subscriptions.follow([shop.as_subscriber()])
            await client.publish(1, id="a")
            await client.publish(1, id="b")
            await shop.wait_for(2)
            await broker.subscriptions.lanes["shop"].drained()
            shop.reply = lambda _: 204
            letters = (await client.call("GET", "/v1/deadletters")).json["deadletters"]
            first = next(letter for letter in letters if letter["event"]["id"] == "a")
            assert (await client.call("POST", f"/v1/deadletters/retry?number={first['number']}")).json == {"retried": 1}
            assert (await shop.wait_for(3))[2].id == "a"
            assert (await client.call("POST", "/v1/deadletters/drop?subscription=shop")).json == {"dropped": 1}
            assert (await client.call("GET", "/v1/deadletters")).json["deadletters"] == []
            assert (await client.call("POST", "/v1/deadletters/retry?number=999")).status == 404


async def test_no_answer_in_time_is_tried_again(tmp_path: Path) -> None:
    release = threading.Event()
    async with running(tmp_path / "e") as (broker, client):
        with Receiver(lambda got: (release.wait(10), 204)[1] if got.headers["Stores-Attempt"] == "1" else 204) as shop:
            await broker.subscriptions.follow([shop.as_subscriber(timeout=0.2)])
            await client.publish(1)
            assert len(await shop.wait_for(2)) == 2
            await broker.subscriptions.lanes["shop"].drained()
            release.set()


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_honoured(tmp_path: Path, status: int) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver() as shop:
            shop.reply = lambda got: (
                (status, {"Retry-After": "1"}, b"") if got.headers["Stores-Attempt"] == "1" else 204
            )
            await broker.subscriptions.follow([shop.as_subscriber()])
            await client.publish(1)
            first, second = await shop.wait_for(2)
            assert second.at - first.at >= 0.95


def test_retry_after_is_seconds_or_a_date_and_has_a_limit() -> None:
    assert outcome.seconds("7") == 7
    assert 5 < outcome.seconds(formatdate(time.time() + 9, usegmt=True)) <= 9
    assert outcome.seconds("99999999") == outcome.LONGEST_RETRY_AFTER
    assert outcome.seconds("soon") == outcome.seconds("") == outcome.seconds("-5") == 0
    assert outcome.of_status(500, "30").retry_after == 0, "only 429 and 503 say when"


def test_the_back_off_doubles_with_jitter_up_to_a_limit() -> None:
    for attempt, middle in ((1, 1.0), (2, 2.0), (5, 16.0), (40, outcome.LONGEST_BACKOFF)):
        delays = {outcome.backoff(attempt, 1.0) for _ in range(50)}
        assert all(middle * 0.8 <= delay <= middle * 1.2 for delay in delays)
        assert len(delays) > 1


async def test_410_ends_the_subscription_until_it_is_resumed(tmp_path: Path) -> None:
    file = tmp_path / "e"
    with Receiver(lambda _: 410) as shop:
        async with running(file) as (broker, client):
            await broker.subscriptions.follow([shop.as_subscriber()])
            await client.publish(1, id="first")
            await until(lambda: broker.subscriptions.lanes["shop"].state == "ended", "it ended")
            await client.publish(2, id="second")
        shop.reply = lambda _: 204
        async with running(file) as (broker, client):
            await broker.subscriptions.follow([shop.as_subscriber()])
            assert broker.subscriptions.lanes["shop"].state == "ended"
            assert (await client.call("GET", "/healthz")).json["status"] == "degraded"
            assert len(shop.got) == 1
            assert (await client.call("POST", "/v1/subscriptions/shop/resume")).status == 200
            got = await shop.wait_for(3)
            assert {one.id for one in got[1:]} == {"first", "second"}


async def test_a_stopped_service_gets_its_events_when_it_is_ready_and_no_attempt_is_spent(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        await broker.subscriptions.follow([subscriber("shop")])
        for number in range(5):
            await client.publish(number, id=f"{number}", subject="k")
        facts = (await client.call("GET", "/v1/subscriptions/shop")).json
        assert (facts["state"], facts["waiting"], facts["problem"]) == ("waiting", 5, "it does not run")
        with Receiver() as shop:
            await broker.subscriptions.follow([shop.as_subscriber()])
            got = await shop.wait_for(5)
            assert [one.id for one in got] == ["0", "1", "2", "3", "4"]
            assert {one.headers["Stores-Attempt"] for one in got} == {"1"}


async def test_a_service_that_refuses_connections_spends_no_attempt(tmp_path: Path) -> None:
    port = free_port()
    async with running(tmp_path / "e") as (broker, client):
        await broker.subscriptions.follow([subscriber("shop", port, retries=0)])
        await client.publish(1)
        lane = broker.subscriptions.lanes["shop"]
        await until(lambda: lane.sender.problem, "it was refused")
        with Receiver(port=port) as shop:
            (got,) = await shop.wait_for(1)
            assert got.headers["Stores-Attempt"] == "1"
            await lane.drained()
            assert (lane.sender.problem, lane.counts.dead) == ("", 0)


async def test_an_event_may_start_its_subscriber(tmp_path: Path) -> None:
    asked: list[str] = []
    async with running(tmp_path / "e", start=asked.append) as (broker, client):
        await broker.subscriptions.follow(
            [
                subscriber("shop", start="on-request"),
                subscriber("desk"),
                subscriber("desk2", types=("x",), start="on-request"),
            ]
        )
        await client.publish(1)
        await until(lambda: asked, "it was asked for")
        await client.publish(2)
        await until(lambda: broker.subscriptions.lanes["shop"].waiting == 2, "both wait")
        assert asked == ["shop"]


async def test_a_subscriber_that_came_and_went_to_sleep_at_once_is_asked_for_again(tmp_path: Path) -> None:
    asked: list[str] = []
    asleep = [subscriber("shop", start="on-request")]
    async with running(tmp_path / "e", start=asked.append) as (broker, client):
        await broker.subscriptions.follow(asleep)
        await client.publish(1)
        await until(lambda: asked == ["shop"], "it was asked for")
        with Receiver() as shop:
            await broker.subscriptions.follow([shop.as_subscriber(start="on-request")])
            await shop.wait_for(1)
            await broker.subscriptions.lanes["shop"].drained()
        await broker.subscriptions.follow(asleep)
        await client.publish(2)
        await until(lambda: asked == ["shop", "shop"], "and again, within the 30 s")


async def test_order_is_kept_for_each_key_under_retries(tmp_path: Path) -> None:
    chance = random.Random(7)
    seen: dict[str, list[int]] = {}
    lock = threading.Lock()

    def reply(got: Delivery) -> int:
        with lock:
            if chance.random() < 0.3:
                return 503
            seen.setdefault(got.headers["ce-partitionkey"], []).append(int(got.body))
            return 204

    async with running(tmp_path / "e") as (broker, client):
        with Receiver(reply) as shop:
            await broker.subscriptions.follow([shop.as_subscriber(concurrency=8, backoff=0.005, retries=100)])
            events = [structured(partitionkey=f"k{n % 7}", data=n) for n in range(210)]
            for begin in range(0, 210, 30):
                await client.call("POST", "/v1/events", events[begin : begin + 30], BATCH)
            await asyncio.wait_for(broker.subscriptions.lanes["shop"].drained(), 20)
            assert seen == {f"k{key}": list(range(key, 210, 7)) for key in range(7)}


async def test_one_key_that_fails_holds_up_no_other(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver(lambda got: 503 if got.headers["ce-subject"] == "stuck" else 204) as shop:
            await broker.subscriptions.follow([shop.as_subscriber(backoff=60, concurrency=2)])
            events = [structured(subject="stuck" if n % 2 else f"s{n}", data=n) for n in range(300)]
            await client.call("POST", "/v1/events", events, BATCH)
            await shop.wait_for(151)
            lane = broker.subscriptions.lanes["shop"]
            await until(lambda: lane.parked == 150 and lane.waiting == 150, "the stuck ones are parked")
            assert lane.standing.cursor == 300, "and hold nothing"


async def test_order_all_delivers_one_after_another(tmp_path: Path) -> None:
    running_now, most = 0, 0
    lock = threading.Lock()

    def reply(_: Delivery) -> int:
        nonlocal running_now, most
        with lock:
            running_now += 1
            most = max(most, running_now)
        time.sleep(0.005)  # long enough for another to come, if another may
        with lock:
            running_now -= 1
        return 204

    async with running(tmp_path / "e") as (broker, client):
        with Receiver(reply) as shop:
            await broker.subscriptions.follow([shop.as_subscriber(order="all")])
            await client.call("POST", "/v1/events", [structured(data=n) for n in range(20)], BATCH)
            got = await shop.wait_for(20)
            assert [int(one.body) for one in got] == list(range(20))
            assert most == 1


async def test_concurrency_is_used_and_kept(tmp_path: Path) -> None:
    gate = threading.Barrier(3, timeout=10)
    async with running(tmp_path / "e") as (broker, client):
        with Receiver(lambda _: (gate.wait(), 204)[1]) as shop:
            await broker.subscriptions.follow([shop.as_subscriber(order="none", concurrency=3)])
            await client.call("POST", "/v1/events", [structured(subject="same") for _ in range(9)], BATCH)
            await shop.wait_for(9)
            await asyncio.wait_for(broker.subscriptions.lanes["shop"].drained(), 10)


async def test_what_has_expired_is_not_delivered(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver() as shop:
            await broker.subscriptions.follow([shop.as_subscriber(order="all")])
            await client.publish(1, expirytime="2020-01-01T00:00:00Z")
            await client.publish(2, id="fresh", expirytime="2099-01-01T00:00:00Z")
            (got,) = await shop.wait_for(1)
            assert got.id == "fresh"
            assert broker.subscriptions.lanes["shop"].counts.expired == 1


async def test_a_delivery_is_signed_as_standard_webhooks_has_it(tmp_path: Path) -> None:
    key = b"0123456789abcdef01234567"
    secret = {"HOOK": "whsec_" + base64.b64encode(key).decode()}
    async with running(tmp_path / "e", environ=secret) as (broker, client):
        with Receiver(lambda got: 503 if got.headers["Stores-Attempt"] == "1" else 204) as shop:
            await broker.subscriptions.follow([shop.as_subscriber(sign="HOOK")])
            await client.publish({"a": 1})
            first, second = await shop.wait_for(2)
            assert first.headers["webhook-id"] == second.headers["webhook-id"]
            signed = f"{first.headers['webhook-id']}.{first.headers['webhook-timestamp']}.".encode() + first.body
            expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
            assert first.headers["webhook-signature"] == f"v1,{expected}"
            assert abs(int(first.headers["webhook-timestamp"]) - time.time()) < 60


async def test_without_its_secret_nothing_is_sent_and_the_problem_is_said(tmp_path: Path) -> None:
    async with running(tmp_path / "e", environ={}) as (broker, client):
        with Receiver() as shop:
            await broker.subscriptions.follow([shop.as_subscriber(sign="HOOK", retries=0)])
            await client.publish(1)
            lane = broker.subscriptions.lanes["shop"]
            await until(lambda: "$HOOK" in lane.sender.problem, "it says so")
            assert shop.got == []
            assert lane.counts.dead == 0


async def test_the_handshake_comes_before_the_first_event(tmp_path: Path) -> None:
    origin = "events.local.example.com"

    def reply(got: Delivery) -> Any:
        allowed = {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "120"}
        return (200, allowed, b"") if got.method == "OPTIONS" else 204

    async with running(tmp_path / "e") as (broker, client):
        with Receiver(reply) as shop:
            await broker.subscriptions.follow([shop.as_subscriber(validate=True)])
            await client.publish(1)
            await client.publish(2)
            asked, first, second = await shop.wait_for(3)
            assert (asked.method, asked.headers["WebHook-Request-Origin"]) == ("OPTIONS", origin)
            assert (first.method, second.method) == ("POST", "POST")
            assert second.at - first.at >= 0.4, "120 a minute"


async def test_without_a_yes_to_the_handshake_nothing_is_sent(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver(lambda _: 200) as shop:
            await broker.subscriptions.follow([shop.as_subscriber(validate=True, retries=0)])
            await client.publish(1)
            lane = broker.subscriptions.lanes["shop"]
            await until(lambda: "WebHook-Allowed-Origin" in lane.sender.problem, "it says so")
            assert {got.method for got in shop.got} == {"OPTIONS"}
            assert (lane.waiting, lane.counts.dead) == (1, 0)


async def test_a_new_subscription_begins_now_or_with_the_first(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        await client.publish(1, id="old")
        with Receiver() as shop, Receiver() as desk:
            await broker.subscriptions.follow([shop.as_subscriber("shop"), desk.as_subscriber("desk", begin="first")])
            await client.publish(2, id="new")
            assert [got.id for got in await desk.wait_for(2)] == ["old", "new"]
            assert [got.id for got in await shop.wait_for(1)] == ["new"]


async def test_a_service_that_is_registered_again_goes_on_where_it_was(tmp_path: Path) -> None:
    file = tmp_path / "e"
    with Receiver() as shop:
        async with running(file) as (broker, client):
            await broker.subscriptions.follow([shop.as_subscriber()])
            await client.publish(1, id="a")
            await shop.wait_for(1)
            await broker.subscriptions.lanes["shop"].drained()
            await broker.subscriptions.follow([])
            await client.publish(2, id="b")
        async with running(file) as (broker, client):
            await broker.subscriptions.follow([shop.as_subscriber()])
            assert [got.id for got in await shop.wait_for(2)] == ["a", "b"]


async def test_what_had_to_be_tried_again_goes_on_when_the_service_is_registered_again(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        status = 500
        with Receiver(lambda _: status) as shop:
            served = shop.as_subscriber(backoff=60)
            await broker.follow([served])
            await client.publish(1, id="failed")
            await until(lambda: broker.subscriptions.lanes["shop"].parked, "it waits for its next try")
            await broker.follow([])
            status = 204
            await broker.follow([served])
            lane = broker.subscriptions.lanes["shop"]
            assert (lane.waiting, lane.parked) == (1, 1)


async def test_a_dead_letter_that_is_tried_again_while_its_service_is_away_is_delivered_when_it_is_back(
    tmp_path: Path,
) -> None:
    async with running(tmp_path / "e") as (broker, client):
        status = 400
        with Receiver(lambda _: status) as shop:
            await broker.follow([shop.as_subscriber()])
            await client.publish(1, id="refused")
            await until(lambda: broker.subscriptions.lanes["shop"].counts.dead, "it is given up")
            await broker.follow([])
            assert (await client.call("POST", "/v1/deadletters/retry?subscription=shop")).json == {"retried": 1}
            status = 204
            await broker.follow([shop.as_subscriber()])
            assert [got.id for got in await shop.wait_for(2)] == ["refused", "refused"]


async def test_attempts_and_their_times_survive_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "e"
    with Receiver(lambda _: 503) as shop:
        async with running(file) as (broker, client):
            await broker.subscriptions.follow([shop.as_subscriber(backoff=0.3)])
            await client.publish(1, subject="k")
            await client.publish(2, subject="k")
            await shop.wait_for(2)
            await until(lambda: broker.subscriptions.lanes["shop"].parked == 2, "parked")
            await until(lambda: broker.subscriptions.lanes["shop"].in_flight == 0, "between two attempts")
        shop.reply = lambda _: 204
        async with running(file) as (broker, client):
            await broker.subscriptions.follow([shop.as_subscriber(backoff=0.3)])
            got = await shop.wait_for(4)
            assert [(one.body, one.headers["Stores-Attempt"]) for one in got] == [
                (b"1", "1"),
                (b"1", "2"),
                (b"1", "3"),
                (b"2", "1"),
            ]


async def test_a_full_disk_loses_no_event_that_has_to_be_tried_again(tmp_path: Path) -> None:
    full = threading.Event()
    async with running(tmp_path / "e") as (broker, client):
        with Receiver(lambda got: (full.wait(20), 503 if got.headers["Stores-Attempt"] < "3" else 204)[1]) as shop:
            await broker.subscriptions.follow([shop.as_subscriber()])
            pages = await broker.writer.submit(lambda one: one.execute("PRAGMA page_count").fetchone()[0])
            await client.publish("x" * 20_000)
            await broker.writer.submit(lambda one: one.execute(f"PRAGMA max_page_count = {pages}"))
            full.set()
            await shop.wait_for(3)
            await broker.subscriptions.lanes["shop"].drained()


def event(**attributes: Any) -> Event:
    return Event({"specversion": "1.0", "id": "1", "source": "/s", "type": "com.example.order.placed", **attributes})


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("com.example.order.placed", True),
        ("com.example.order.*", True),
        ("com.*.order.placed", True),
        ("com.**", True),
        ("**", True),
        ("*", False),
        ("com.example.*", False),
        ("com.example.order.placed.**", False),
        ("com.example.order.plac", False),
        ("comXexample.order.placed", False),
    ],
)
def test_patterns_of_types(pattern: str, fits: bool) -> None:  # noqa: FBT001 - a column of the table
    assert matching.wanted(Subscription((pattern,)))(event()) is fits


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ([{"exact": {"subject": "tokyo/7"}}], True),
        ([{"exact": {"subject": "tokyo"}}], False),
        ([{"prefix": {"subject": "tokyo/"}}], True),
        ([{"suffix": {"subject": "/7", "source": "/s"}}], True),
        ([{"suffix": {"subject": "/7", "source": "/t"}}], False),
        ([{"exact": {"missing": "x"}}], False),
        ([{"not": {"exact": {"missing": "x"}}}], True),
        ([{"any": [{"exact": {"subject": "x"}}, {"prefix": {"subject": "t"}}]}], True),
        ([{"all": [{"exact": {"subject": "x"}}, {"prefix": {"subject": "t"}}]}], False),
        ([{"prefix": {"subject": "t"}}, {"not": {"suffix": {"subject": "7"}}}], False),
        ([{"exact": {"flag": "true", "count": "7"}}], True),
    ],
)
def test_filters(filters: list[dict[str, Any]], fits: bool) -> None:  # noqa: FBT001 - a column of the table
    test = matching.wanted(Subscription(("**",), filters=tuple(filters)))
    assert test(event(subject="tokyo/7", flag=True, count=7)) is fits


async def test_a_clock_that_is_set_back_holds_up_no_retry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver(lambda _: 503 if len(shop.got) == 1 else 204) as shop:
        async with running(tmp_path / "e") as (broker, client):
            await broker.follow([shop.as_subscriber(backoff=0.3)])
            await client.publish(1, subject="s")
            await until(lambda: broker.subscriptions.lanes["shop"].parked, "it is tried again")
            real = time.time
            monkeypatch.setattr(time, "time", lambda: real() - 3600.0)
            await shop.wait_for(2)
            await client.publish(2, subject="s")
            await shop.wait_for(3)
