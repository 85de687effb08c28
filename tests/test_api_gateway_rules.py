"""The API gateway's rules by themselves: paths, routes, headers, templates, remembered tokens, the choice's file."""

from __future__ import annotations

import dataclasses
import stat
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procman.api_route import ApiRoute
from procman.authorizer_choice import Choice, Play, Simulation, exclusively
from procman.authorizer_settings import AuthorizerSettings
from procman.identity import Identity
from procman.routes import Route, route_of
from procman.snapshot import DnsStatus, GatewayStatus, RemoteStatus, ServiceStatus, Snapshot
from procman.state import State
from proxy_addons.api_gateway import path as paths
from proxy_addons.api_gateway import templates
from proxy_addons.api_gateway.choice_file import ChoiceFile
from proxy_addons.api_gateway.managed import Managed
from proxy_addons.api_gateway.verified import Verified
from proxy_addons.problem import Code
from proxy_addons.site import Site
from proxy_addons.view import View


@given(st.text(alphabet="/abc%2eEfF5C.~;0d ", max_size=24))
def test_a_normalized_path_stays_as_it_is_and_hides_no_separator(text: str) -> None:
    try:
        normal = paths.normalize(f"/{text}")
    except paths.BadPathError:
        return
    assert paths.normalize(normal) == normal
    assert not {"%2F", "%5C", "%2E"} & {normal[at : at + 3] for at in range(len(normal))}
    assert not {".", ".."} & {segment.partition(";")[0] for segment in normal.split("/")}


@pytest.mark.parametrize(
    ("path", "count", "rest"),
    [("/a/b", 1, "/b"), ("/a", 1, "/"), ("//a//b", 1, "//b"), ("/a/b/", 2, "/"), ("/a/b/c//", 2, "/c//")],
)
def test_a_prefix_is_taken_off_by_segments(path: str, count: int, rest: str) -> None:
    assert paths.without_prefix(path, count) == rest


@pytest.mark.parametrize("name", ["X-Org", "x-org", "X_ORG", "x.org", "X-User_Id", "stores-as", "X_FORWARDED_PREFIX"])
def test_a_managed_name_is_known_in_every_spelling(name: str) -> None:
    managed = Managed(["X-Org", "X-User-Id"])
    assert name.encode() in managed


@pytest.mark.parametrize("name", ["X-Organization", "Authorization", "Cookie", "XOrg", "Accept"])
def test_a_clients_own_header_is_not_a_managed_one(name: str) -> None:
    assert name.encode() not in Managed(["X-Org"])


def test_a_claim_cannot_break_out_of_its_header() -> None:
    identity = Identity("eve", "e", (), {"name": "Eve\r\nX-Admin: 1", "n": 7, "ok": True, "list": ["ä", 1], "p": "5%"})
    wanted = {"A": "{name}", "B": "{n} {ok} {list} {p}"}
    settings = AuthorizerSettings(headers=wanted)
    assert templates.fill({"A": "claim {nickname}"}, identity, "a.b.c") == []
    filled = dict(templates.fill(templates.of(settings), identity, "a.b.c"))
    assert filled["A"] == "eve", "the name of the identity itself comes first"
    assert filled["B"] == '7 true ["ä",1] 5%25'
    assert templates.fill({"A": "{nick}"}, Identity("eve", "e", (), {"nick": "a\r\nb\0"}), "a.b.c") == [
        ("A", "a%0D%0Ab%00")
    ]


def test_a_verified_token_is_believed_for_a_while_and_never_past_its_end() -> None:
    asked: list[str] = []

    def verify(token: str) -> Mapping[str, Any]:
        asked.append(token)
        if token == "bad":
            raise ValueError(token)
        return {"sub": token, "exp": time.time() + (-1 if token == "over" else 60)}

    verified = Verified(verify)
    assert [verified.claims("good")["sub"] for _ in range(3)] == ["good"] * 3
    assert asked == ["good"]
    for token in ("bad", "bad"):
        with pytest.raises(ValueError, match="bad"):
            verified.claims(token)
    verified.claims("over")
    verified.claims("over")
    assert asked == ["good", "bad", "bad", "over", "over"]
    for number in range(300):
        verified.claims(str(number))
    verified.claims("good")
    assert asked[-1] == "good", "the oldest is forgotten"


def test_the_choice_is_written_whole_for_its_owner_alone_and_read_when_it_is_another_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "authorizer.json"
    file = ChoiceFile(path)
    assert file.read() == Choice()
    first = Choice("alice", (Simulation(("deny", "delay=2s"), 1.0, 2.5, ("organization",)),))
    first.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert file.read() == first
    assert file.read() is file.read()
    Choice("bobby").save(path)
    assert file.read().identity == "bobby"
    assert [each.name for each in path.parent.iterdir()] == ["authorizer.json"]
    path.write_text(
        '{"identity": "alice", "simulations": [{"plays": ["boom"], "since": 0, "until": 1, "services": []}]}'
    )
    with pytest.raises(ValueError, match='"boom" cannot be played'):
        file.read()
    path.unlink()
    assert file.read() == Choice()


def test_two_that_change_the_choice_at_once_do_not_undo_each_others(tmp_path: Path) -> None:
    path = tmp_path / "authorizer.json"

    def add(number: int) -> None:
        with exclusively(path):
            choice = Choice.load(path)
            one = Simulation((f"delay={number}s",), 1.0, 2.0)
            dataclasses.replace(choice, simulations=(*choice.simulations, one)).save(path)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(1, 25)))
    assert {one.plays for one in Choice.load(path).simulations} == {(f"delay={number}s",) for number in range(1, 25)}


def test_what_was_allowed_for_one_route_does_not_become_another_while_it_waits() -> None:
    def view(name: str, auth: str, mode: str = "dummy", state: State = State.STOPPED) -> View:
        route = route_of(state, wanted=False, remote=mode == "mixed")
        service = ServiceStatus(name, state, route, wanted=False, hosts=(name,), urls=(), processes=(), port=1)
        service = dataclasses.replace(service, api=ApiRoute("/a", auth=auth), remote="https://a.example.com")
        settings = AuthorizerSettings(mode=mode)
        remote = RemoteStatus("remote.example.com")
        facts = ("/w", "local.example.com", 1, GatewayStatus(), DnsStatus(), remote, (service,))
        return View(Snapshot(*facts, authorizer=settings))

    site = Site("http", "api-gateway.local.example.com", 80)
    allowed = view("a", "optional").decide_api(site, ("a", "x"))
    assert allowed.problem is not None
    awake = view("a", "optional", state=State.READY).again(allowed)
    assert (awake.problem, awake.route) == (None, Route.LOCAL)
    for changed in (
        view("a", "required", state=State.READY),
        view("b", "optional", state=State.READY),
        view("a", "optional", mode="mixed"),
        view("a", "optional", mode="remote"),
    ):
        now = changed.again(allowed)
        assert (now.upstreams, now.service, now.problem and now.problem.code) == ((), None, Code.NO_ROUTE)


def test_a_simulation_runs_in_its_time_and_ends_with_a_clock_that_is_set_back() -> None:
    simulation = Simulation(("deny",), 1000.0, 1060.0)
    assert [simulation.runs(now) for now in (900.0, 999.5, 1000.0, 1059.9, 1060.0)] == [False, True, True, True, False]


@pytest.mark.parametrize("text", ["deny", "delay=250ms", "missing-scope=org:read"])
def test_what_can_be_played_is_written_as_it_is_typed(text: str) -> None:
    assert str(Play.parse(f" {text} ")) == text
