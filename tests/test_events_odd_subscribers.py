"""Subscribers that answer oddly, slowly, without end or not at all; and those that want to be asked first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from events_world import Delivery, Receiver, free_port, running, structured, subscriber, until
from raw_origin import RawOrigin, Wire, saying

from procman.subscription import Subscription
from proxy_addons.events.lane import Counts
from proxy_addons.events.outcome import Outcome
from proxy_addons.events.sender import Subscriber

BATCH = {"Content-Type": "application/cloudevents-batch+json"}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def outcome_of(folder: Path, serve: Callable[[Wire], None], **facts: Any) -> tuple[Counts, list[str], int]:
    """One event to a service that says what `serve` says: what was counted, what dead letters say, and connections."""
    service = RawOrigin(serve)
    try:
        async with running(folder / "e") as (broker, client):
            await broker.subscriptions.follow([subscriber("shop", service.port, **facts)])
            await client.publish(1)
            lane = broker.subscriptions.lanes["shop"]
            await asyncio.wait_for(lane.drained(), 20)
            letters = (await client.call("GET", "/v1/deadletters")).json["deadletters"]
            return lane.counts, [letter["reason"] for letter in letters], service.connections
    finally:
        service.close()


@pytest.mark.parametrize(
    "said",
    [
        OK,
        b"HTTP/1.0 200 OK\r\n\r\nuntil the connection ends",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the connection ends",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n",
        OK + b"HTTP/1.1 500 Nobody Asked\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_an_answer_of_success_is_one_however_it_is_framed(tmp_path: Path, said: bytes) -> None:
    counts, letters, connections = await outcome_of(tmp_path, saying(said))
    assert (counts.delivered, counts.failed, letters, connections) == (1, 0, [], 1)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "the connection broke"),
        (b"SSH-2.0-OpenSSH\r\n", "no HTTP answer"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", "the connection broke"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal", "the connection broke"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "the connection broke"),
    ],
)
async def test_what_is_no_whole_answer_is_tried_again(tmp_path: Path, said: bytes, why: str) -> None:
    counts, (letter,), connections = await outcome_of(tmp_path, saying(said), retries=1)
    assert (counts.delivered, counts.failed, counts.dead, connections) == (0, 1, 1, 2)
    assert why in letter


async def test_an_answer_that_comes_byte_by_byte_has_the_time_of_one_attempt(tmp_path: Path) -> None:
    def drip(wire: Wire) -> None:
        wire.read_head()
        wire.socket.settimeout(0.02)
        wire.send(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            wire.send(b"x")
            with contextlib.suppress(TimeoutError):
                wire.read(1)  # until it has hung up

    counts, (letter,), connections = await outcome_of(tmp_path, drip, retries=1, timeout=0.3)
    assert (counts.delivered, counts.dead, connections) == (0, 1, 2)
    assert letter == "no answer within 0.3 s"


async def test_a_body_without_an_end_is_not_read_for_ever_and_a_success_stays_one(tmp_path: Path) -> None:
    sent = 0

    def flood(wire: Wire) -> None:
        nonlocal sent
        wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            wire.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            sent += 65536

    counts, letters, connections = await outcome_of(tmp_path, flood)
    assert (counts.delivered, letters, connections) == (1, [], 1)
    assert sent < 32 * 1024 * 1024, "what the kernel takes, and a little more"


async def test_a_head_without_an_end_fails_and_fills_no_memory(tmp_path: Path) -> None:
    sent = 0

    def flood(wire: Wire) -> None:
        nonlocal sent
        wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            wire.send(b"X-More: " + b"x" * 32_000 + b"\r\n")
            sent += 32_000

    counts, (letter,), _ = await outcome_of(tmp_path, flood, retries=0)
    assert counts.dead == 1
    assert letter == "the connection broke: the head of its answer has no end"
    assert sent < 32 * 1024 * 1024, "what the kernel takes, and a little more"


async def test_a_machine_without_ipv6_spends_no_attempt_on_a_port_that_refuses(tmp_path: Path) -> None:
    """The second address is one that no machine can connect to, as ::1 is where there is no IPv6."""
    port = free_port()
    shop = Subscriber("shop", Subscription(("**",), retries=0), "shop", (("127.0.0.1", port), ("fe80::1", port)))
    async with running(tmp_path / "e") as (broker, client):
        await broker.subscriptions.follow([shop])
        await client.publish(1)
        lane = broker.subscriptions.lanes["shop"]
        await until(lambda: lane.sender.problem or lane.counts.dead, "it was tried")
        assert (lane.sender.problem, lane.counts.dead) == ("nobody listens on its port", 0)


async def test_a_retry_after_that_no_calendar_knows_is_as_good_as_none(tmp_path: Path) -> None:
    never = {"Retry-After": "Mon, 01 Jan 2020 00:00:00 +9999999999999999999999"}
    async with running(tmp_path / "e") as (broker, client):
        with Receiver(lambda got: (503, never, b"") if got.headers["Stores-Attempt"] == "1" else 204) as shop:
            await broker.subscriptions.follow([shop.as_subscriber()])
            await client.publish(1)
            assert len(await shop.wait_for(2)) == 2


async def test_a_fault_of_our_own_is_an_attempt_and_not_the_end_of_its_key(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver() as shop:
            await broker.subscriptions.follow([shop.as_subscriber()])
            sender = broker.subscriptions.lanes["shop"].sender
            send = sender.send

            async def broken_once(*of: Any) -> Outcome:
                sender.send = send  # type: ignore[method-assign]
                raise ZeroDivisionError

            sender.send = broken_once  # type: ignore[method-assign]
            await client.publish(1, id="a", subject="k")
            await client.publish(2, id="b", subject="k")
            got = await shop.wait_for(2)
            assert [(one.id, one.headers["Stores-Attempt"]) for one in got] == [("a", "2"), ("b", "1")]


def allowing(rate: str) -> Callable[[Delivery], Any]:
    allowed = {"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": rate}
    return lambda got: (200, allowed, b"") if got.method == "OPTIONS" else 204


async def test_waiting_for_an_allowed_rate_is_no_attempt_and_takes_none_of_its_time(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver(allowing("120")) as shop:
            await broker.subscriptions.follow([shop.as_subscriber(validate=True, timeout=0.4, retries=0)])
            await client.call("POST", "/v1/events", [structured(data=number) for number in range(4)], BATCH)
            _, *got = await shop.wait_for(5)
            assert {one.headers["Stores-Attempt"] for one in got} == {"1"}
            assert got[3].at - got[0].at >= 1.4, "120 a minute"


async def test_what_expires_while_it_waits_for_its_turn_is_not_delivered(tmp_path: Path) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver(allowing("60")) as shop:
            await broker.subscriptions.follow([shop.as_subscriber(validate=True)])
            await client.publish(1, id="first")
            await shop.wait_for(2)
            await client.publish(2, id="second", expirytime=_in(0.3))
            lane = broker.subscriptions.lanes["shop"]
            await lane.drained()
            assert (lane.counts.expired, len(shop.got)) == (1, 2)


@pytest.mark.parametrize("rate", ["9" * 5000, "0", "-1", "often", ""])
async def test_a_rate_that_is_none_limits_nothing(tmp_path: Path, rate: str) -> None:
    async with running(tmp_path / "e") as (broker, client):
        with Receiver(allowing(rate)) as shop:
            await broker.subscriptions.follow([shop.as_subscriber(validate=True)])
            await client.publish(1)
            await shop.wait_for(2)
            await broker.subscriptions.lanes["shop"].drained()


async def test_a_handshake_that_is_not_answered_spends_no_attempt(tmp_path: Path) -> None:
    answers = [b"", b"HTTP/1.1 200 OK\r\nWebHook-Allowed-Origin: *\r\nContent-Length: 0\r\n\r\n"]

    def serve(wire: Wire) -> None:
        while head := wire.read_head():
            wire.send(answers.pop(0) if head.startswith(b"OPTIONS") else OK)

    counts, letters, _ = await outcome_of(tmp_path, serve, validate=True, retries=0, timeout=0.2)
    assert (counts.delivered, counts.failed, letters) == (1, 0, [])


def _in(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
