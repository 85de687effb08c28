"""Two brokers, each the other's remote: what goes, what comes, what never comes back."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from events_world import Receiver, Reply, free_port, running, subscriber, until

from proxy_addons.events.broker import Broker
from proxy_addons.events.forwarding import FORWARD
from proxy_addons.events.http_connection import Place
from proxy_addons.events.receiving import RECEIVE
from proxy_addons.events.remote import Remote


def remote(port: int, *forward: str, token: str = "", receive: bool = True) -> Remote:
    return Remote(f"http://127.0.0.1:{port}", Place((("127.0.0.1", port),)), forward, receive, token)


async def connected(near: Broker) -> None:
    """Events come, by whichever way."""
    await until(lambda: near.link.receiving and near.link.receiving.way, "it receives")


async def test_what_local_services_want_comes_from_the_remote(tmp_path: Path) -> None:
    async with running(tmp_path / "far") as (_, far):
        await far.publish("before", type="com.order.placed")
        async with running(tmp_path / "near", remote=remote(far.port)) as (near, _):
            with Receiver() as desk:
                await near.follow([desk.as_subscriber(types=("com.order.*",))])
                await connected(near)
                await far.publish("unwanted", type="com.other")
                await far.publish("wanted", type="com.order.placed")
                await desk.wait_for(1)
                assert {got.body for got in desk.got} == {b'"wanted"'}


async def test_the_place_at_the_remote_survives_a_restart_and_nothing_is_lost_or_repeated(tmp_path: Path) -> None:
    async with running(tmp_path / "far") as (_, far):
        with Receiver() as desk:
            for round_ in range(3):
                async with running(tmp_path / "near", remote=remote(far.port)) as (near, _):
                    await near.follow([desk.as_subscriber()])
                    if round_ == 0:
                        await connected(near)
                        await far.publish(0)
                    await desk.wait_for(round_ + 1)
                    await near.subscriptions.lanes["shop"].drained()
                await far.publish(round_ + 1)  # while we are away
            assert [got.body for got in desk.got] == [b"0", b"1", b"2"]


async def test_only_what_is_listed_leaves_and_by_default_nothing(tmp_path: Path) -> None:
    async with running(tmp_path / "far") as (far_broker, far):
        async with running(tmp_path / "quiet", remote=remote(far.port)) as (quiet, client):
            await client.publish(1, type="com.order.placed")
            assert FORWARD not in quiet.subscriptions.lanes
        async with running(tmp_path / "near", remote=remote(far.port, "com.order.*")) as (near, client):
            await client.publish(1, type="com.order.placed")
            await client.publish(2, type="com.secret")
            await near.subscriptions.lanes[FORWARD].drained()
        assert [stored.event.type for stored in await far_broker.log.read(0, 10)] == ["com.order.placed"]
        assert (await far_broker.log.read(0, 1))[0].origin == near.progress.broker_id


async def test_two_that_are_each_others_remote_do_not_play_ping_pong(tmp_path: Path) -> None:
    port = free_port()
    async with (
        running(tmp_path / "a", remote=remote(port, "**")) as (first, one),
        running(tmp_path / "b", port=port, remote=remote(one.port, "**")) as (second, two),
    ):
        await first.follow([subscriber(types=("**",))])
        await second.follow([subscriber(types=("**",))])
        await one.publish("of one", id="1")
        await two.publish("of two", id="2")
        await until(lambda: first.log.last == second.log.last == 2, "each has both")
        for broker in (first, second):
            await broker.subscriptions.lanes[FORWARD].drained()
        assert (first.log.last, second.log.last) == (2, 2)
        # its own, and what the other forwards of its own: a third one would be an echo
        assert first.publishing.counts["accepted"] == second.publishing.counts["accepted"] == 2


async def test_while_the_remote_is_down_publishing_goes_on_and_it_catches_up(tmp_path: Path) -> None:
    port = free_port()
    async with running(tmp_path / "near", remote=remote(port, "**")) as (near, client):
        await near.follow([subscriber()])
        assert (await client.publish(1)).status == 202
        await until(
            lambda: near.subscriptions.lanes[FORWARD].sender.problem and near.link.receiving.problem, "both say so"
        )
        health = (await client.call("GET", "/healthz")).json
        assert health["status"] == "degraded"
        assert set(health["problems"]) == {FORWARD, RECEIVE}
        async with running(tmp_path / "far", port=port) as (far, _):
            await until(lambda: far.log.last == 1, "it caught up")
            assert near.subscriptions.lanes[FORWARD].counts.dead == 0
            await until(lambda: not near.link.receiving.problem, "and it listens")
            assert (await client.call("GET", "/healthz")).json["status"] == "ok"


async def test_three_in_a_ring_each_get_what_the_one_before_has_made_and_nothing_goes_round(tmp_path: Path) -> None:
    ports = [free_port() for _ in range(3)]
    async with AsyncExitStack() as stack:
        ring = []
        for number, port in enumerate(ports):
            onward = remote(ports[(number + 1) % 3], "**", receive=False)
            ring.append(await stack.enter_async_context(running(tmp_path / f"{number}", port=port, remote=onward)))
        for number, (_, client) in enumerate(ring):
            await client.publish(number, id=f"of {number}")
        for number, (broker, _) in enumerate(ring):
            await until(lambda broker=broker: broker.log.last == 2, "its own, and its neighbour's")  # type: ignore[misc]
            assert {stored.event.id for stored in await broker.log.read(0, 9)} == {
                f"of {number}",
                f"of {(number - 1) % 3}",
            }
        for broker, _ in ring:
            await broker.subscriptions.lanes[FORWARD].drained()
            assert (broker.log.last, broker.publishing.counts["accepted"]) == (2, 2)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((302, {"Location": "https://sso.example.com/"}, b""), "answered 302, a redirect"),
        ((200, {"Content-Type": "text/html; charset=utf-8"}, b"<h1>Sign in</h1>"), "answered 200, with a page"),
        ((405, {"Allow": "GET"}, b""), "answered 405, no POST"),
    ],
    ids=["a redirect", "a page", "no POST"],
)
async def test_where_no_broker_answers_events_wait_and_are_neither_lost_nor_dead(
    tmp_path: Path, answer: Reply, told: str
) -> None:
    with Receiver(lambda _: answer) as gate:
        async with running(tmp_path / "near", remote=remote(gate.port, "**")) as (near, client):
            await near.follow([subscriber()])
            await client.publish(1)
            lane = near.subscriptions.lanes[FORWARD]
            await until(lambda: told in lane.sender.problem, "it says so")
            assert (lane.waiting, lane.counts.dead, lane.counts.delivered) == (1, 0, 0)
            answer = (202, {"Content-Type": "application/json"}, b"{}")
            lane.reopen()
            await lane.drained()
            assert lane.counts.delivered == 1


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_a_refused_token_stops_and_says_what_to_do(tmp_path: Path, token: str) -> None:
    with Receiver(lambda _: 401) as far:
        async with running(tmp_path / "near", remote=remote(far.port, "**", token=token)) as (near, client):
            await near.follow([subscriber()])
            await client.publish(1)
            sender = near.subscriptions.lanes[FORWARD].sender
            await until(lambda: not sender.ready and "STORES_EVENTS_TOKEN" in sender.problem, "it stopped")
            count = len([got for got in far.got if got.method == "POST"])
            await client.publish(2)
            await client.publish(3)
            assert len([got for got in far.got if got.method == "POST"]) == count
            assert near.subscriptions.lanes[FORWARD].waiting == 3
            assert "stores down, stores up -d" in sender.problem, "the gateway has the environment of stores up"
            assert {got.headers["Authorization"] for got in far.got} == {f"Bearer {token}" if token else None}
