"""Which service a host belongs to, and where its requests go at a moment."""

from __future__ import annotations

import itertools
import json
import timeit

import pytest

from procman.routes import Route, RouteTable, normalize, route_of
from procman.snapshot import (
    DnsStatus,
    GatewayStatus,
    ProcessStatus,
    RemoteStatus,
    ServiceStatus,
    Snapshot,
)
from procman.state import ALIVE, State, move, summary

TABLE = RouteTable(
    [
        ("netshop", "netshop"),
        ("*.netshop", "netshop"),
        ("tokyo.netshop", "tokyo"),
        ("*.osaka.netshop", "osaka"),
        ("reserve", "reserve"),
    ],
    ["local.example.com", "localhost"],
)


@pytest.mark.parametrize(
    ("host", "owner"),
    [
        ("netshop.local.example.com", "netshop"),
        ("NetShop.Local.Example.COM:8443", "netshop"),
        ("netshop.local.example.com.", "netshop"),
        ("netshop.localhost:8080", "netshop"),
        ("a.b.c.netshop.local.example.com", "netshop"),
        ("tokyo.netshop.local.example.com", "tokyo"),
        ("a.tokyo.netshop.local.example.com", "netshop"),
        ("a.osaka.netshop.local.example.com", "osaka"),
        ("osaka.netshop.local.example.com", "netshop"),
        ("a.reserve.local.example.com", None),
        ("local.example.com", None),
        ("netshop.example.com", None),
        ("evilnetshop.local.example.com", None),
        ("netshop.evillocal.example.com", None),
        ("127.0.0.1:8080", None),
        ("[::1]:8080", None),
        ("", None),
    ],
)
def test_a_hosts_owner_is_the_exact_name_else_the_nearest_wildcard(host: str, owner: str | None) -> None:
    assert TABLE.find(host) == owner


def test_a_port_and_a_final_dot_are_no_part_of_a_name() -> None:
    assert normalize(" Netshop.Localhost.:8080 ") == "netshop.localhost"


def test_a_look_up_costs_the_same_with_ten_hosts_and_with_a_hundred_thousand() -> None:
    few, many = (
        RouteTable(((f"s{number}", f"s{number}") for number in range(size)), ["local.example.com"])
        for size in (10, 100_000)
    )
    cost = [min(timeit.repeat(lambda t=t: t.find("s7.local.example.com"), number=2000, repeat=7)) for t in (few, many)]
    assert cost[1] < cost[0] * 3


@pytest.mark.parametrize(("state", "wanted", "remote"), list(itertools.product(State, (True, False), (True, False))))
def test_what_answers_is_local_what_was_started_here_is_never_quietly_remote(
    state: State,
    wanted: bool,  # noqa: FBT001 (a table's columns)
    remote: bool,  # noqa: FBT001 (as above)
) -> None:
    route = route_of(state, wanted=wanted, remote=remote)
    if state in {State.READY, State.EXTERNAL}:
        assert route is Route.LOCAL
    elif wanted:
        assert route is Route.FALLBACK
    else:
        assert route is (Route.REMOTE if remote else Route.FALLBACK)


def test_a_move_that_no_event_can_cause_is_refused() -> None:
    assert move(State.QUEUED, State.STARTING) is State.STARTING
    for old, new in [(State.STOPPED, State.READY), (State.READY, State.STOPPED), (State.STARTING, State.STOPPED)]:
        with pytest.raises(ValueError, match="cannot go from"):
            move(old, new)


def test_nothing_that_lives_comes_to_rest_without_being_stopped_first() -> None:
    for old, new in itertools.product(ALIVE - {State.STOPPING}, {State.STOPPED, State.FAILED, State.EXITED}):
        with pytest.raises(ValueError, match="cannot go from"):
            move(old, new)


def test_a_services_state_is_the_one_that_most_needs_attention() -> None:
    assert summary([State.READY, State.FAILED, State.STARTING]) is State.FAILED
    assert summary([State.READY, State.STARTING]) is State.STARTING
    assert summary([State.READY, State.READY]) is State.READY


def test_a_snapshot_comes_out_of_json_as_it_went_in() -> None:
    process = ProcessStatus("web", State.READY, 4711, 3000, 2, 1.5, "exit code 1", "")
    service = ServiceStatus(
        "netshop", State.READY, Route.LOCAL, True, ("netshop",), ("https://x/",), (process,), 3000, None, "Shop"
    )
    snapshot = Snapshot(
        "/w",
        "local.example.com",
        1,
        GatewayStatus(80, 443, "/ca", 2, State.READY),
        DnsStatus(53),
        RemoteStatus(),
        (service,),
    )
    assert Snapshot.from_json(json.loads(snapshot.to_line())) == snapshot
