"""The dashboard's HTTP API: what it answers, to whom, and that its document says the same."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from dashboard_page import Page
from workbench import Site, brought_up, wait_until


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.program(
        "shop.py",
        r"""
        import http.server, os
        print("\x1b[31mred\x1b[0m")
        http.server.test(port=int(os.environ["PORT"]))
        """,
    )
    made.service("shop", "web: python3 shop.py\n", subscribe=["order.*"])
    with brought_up(made):
        yield made


@pytest.fixture(scope="module")
def page(site: Site) -> Page:
    return Page(site)


def test_a_program_with_the_token_is_told_what_runs(page: Page, site: Site) -> None:
    told = page.get("/api/v1/services")
    assert told["workspace"] == str(site.root)
    assert [one["name"] for one in told["services"]] == ["shop"]


def test_the_token_is_its_users_alone(page: Page, site: Site) -> None:
    file = next(site.folder.glob("state/stores/workspaces/*/gateway/dashboard.token"))
    assert file.read_text().strip() == page.token
    assert file.stat().st_mode & 0o777 == 0o600


def test_without_token_or_cookie_nothing_is_told(page: Page) -> None:
    status, told, _ = page.ask("GET", "/api/v1/services")
    assert (status, told["hint"]) == (401, "Open the page by: stores open")


def test_the_page_is_served_with_a_policy_that_lets_nothing_else_in(page: Page) -> None:
    status, _, headers = page.ask("GET", "/")
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    again, body, _ = page.ask("GET", "/", If_None_Match=headers["ETag"])
    assert (again, body) == (304, b"")


def test_a_service_is_stopped_and_started_and_the_stream_tells_of_it(page: Page) -> None:
    with page.stream("topics=services") as events:
        name, told = next(events)
        assert (name, told["services"][0]["state"]) == ("services", "ready")
        done = page.post("/api/v1/services/stop", {"targets": ["shop"]})
        assert done["processes"][0]["state"] == "stopped"
        changes = (change["services"][0]["state"] for name, change in events if "services" in change)
        assert any(state == "stopped" for state in changes)
        page.post("/api/v1/services/start", {"targets": ["shop"]})
        assert any(state == "ready" for state in changes)


def test_what_cannot_be_started_is_said_in_the_supervisors_words(page: Page) -> None:
    status, told, _ = page.ask("POST", "/api/v1/services/start", {"targets": ["shpo"]}, **page.program)
    assert status == 409
    assert "shpo" in told["detail"]
    assert told["hint"]


def meters(site: Site) -> list[psutil.Process]:
    found = []
    for one in site.ours():
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            found += [one] if "procman.machine.cost_stream" in one.cmdline() else []
    return found


def test_costs_are_measured_while_somebody_looks_and_no_longer(page: Page, site: Site) -> None:
    assert meters(site) == []
    with page.stream("topics=metrics") as events:
        name, told = next(events)
        assert name == "metrics"
        assert told["costs"]["shop.web"]["memory"] > 1_000_000
        assert {"gateway", "stores"} <= told["costs"].keys()
        assert len(meters(site)) == 1
    wait_until(lambda: meters(site) == [], "the meter has ended")


def test_logs_are_told_page_by_page_and_followed_without_a_gap(page: Page, site: Site) -> None:
    with page.stream("topics=logs&targets=shop") as events:
        name, begin = next(events)
        assert name == "logs-begin"
        before = page.get(f"/api/v1/logs?targets=shop&before={begin['cursor']}")
        assert "\x1b[31mred\x1b[0m" in [line["text"] for line in before["lines"]]
        assert before["before"] is None
        page.post("/api/v1/services/restart", {"targets": ["shop"]})
        name, told = next(events)
        assert (name, told["missed"]) == ("logs", 0)
        lines = told["lines"]
        while "\x1b[31mred\x1b[0m" not in [line["text"] for line in lines]:
            lines += next(events)[1]["lines"]
    found = page.get("/api/v1/logs?targets=shop&q=RED&limit=1")
    assert found["lines"][0]["text"] == "\x1b[31mred\x1b[0m"
    assert found["lines"][0]["name"] == "shop.web"
    assert found["lines"][0]["at"] == pytest.approx(time.time(), abs=60)


def test_all_logs_are_followed_the_gateways_too(page: Page) -> None:
    with page.stream("topics=logs") as events:
        assert next(events)[0] == "logs-begin"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/v1/logs?limit=0", "limit: 0 is not from 1 to 5000"),
        ("/api/v1/logs?limit=many", "limit: 'many' is not an integer"),
        ("/api/v1/logs?before=%3F", "before: that is no cursor of a page"),
        ("/api/v1/logs?lines=3", "lines: there is no such parameter here; there is: targets, limit, before, q"),
        ("/api/v1/stream?topics=gossip", "topics[0]: 'gossip' is none of events, findings, inspection, logs, "),
    ],
)
def test_a_wrong_argument_is_named(page: Page, path: str, said: str) -> None:
    status, told, _ = page.ask("GET", path, **page.program)
    assert status == 400
    assert told["detail"].startswith(said)


def test_the_doctors_findings_are_told(page: Page) -> None:
    told = page.get("/api/v1/findings")
    assert {"resolver", "port", "gateway"} <= {one["link"] for one in told["findings"]}


def test_events_are_read_and_steered_by_the_brokers_own_functions(page: Page, site: Site) -> None:
    site.ok("events", "send", "order.made")
    with page.stream("topics=events") as events:
        told = dict(next(events) for _ in range(2))
        assert told["event"]["event"]["type"] == "order.made"
        (subscription,) = told["subscriptions"]["subscriptions"]
        assert subscription["name"] == "shop"
        site.ok("events", "send", "order.paid")
        assert next(value for name, value in events if name == "event")["event"]["type"] == "order.paid"
    paused = page.post("/api/v1/events/subscriptions/shop/pause", None)
    assert paused["state"] == "paused"
    replayed = page.post("/api/v1/events/subscriptions/shop/replay", {"from": "first"})
    assert replayed["name"] == "shop"
    status, told, _ = page.ask("POST", "/api/v1/events/subscriptions/nobody/pause", **page.program)
    assert status == 404
    assert told["detail"].startswith("nobody subscribes to nothing")
    assert page.get("/api/v1/events/deadletters")["deadletters"] == []
    assert [one["event"]["type"] for one in page.get("/api/v1/events?after=-1")["events"]] == ["order.paid"]


def test_states_are_marked_on_a_time_line(page: Page) -> None:
    with page.stream("topics=states") as events:
        name, told = next(events)
        assert (name, told["marks"][-1]["name"]) == ("states", "shop.web")
        page.post("/api/v1/services/restart", {"targets": ["shop"]})
        marks: list[dict[str, object]] = []
        while not marks or marks[-1]["state"] != "ready":
            marks += next(events)[1]["marks"]
        # a snapshot tells of the newest state alone: short ones may be passed over
        assert {"starting", "ready"} <= {str(mark["state"]) for mark in marks}
        assert [mark["at"] for mark in marks] == sorted(mark["at"] for mark in marks)  # type: ignore[type-var]


def test_an_open_page_outlives_the_supervisor_and_follows_the_next_one(page: Page, site: Site) -> None:
    with page.stream("topics=logs,services&targets=shop") as events:
        assert {name for name, _ in (next(events), next(events))} == {"services", "logs-begin"}
        os.kill(site.supervisor, signal.SIGKILL)
        problem = next(value for name, value in events if name == "problem")
        assert problem["topic"] == "logs"
        assert problem["hint"]
        status, told, _ = page.ask("POST", "/api/v1/services/stop", {"targets": ["shop"]}, **page.program)
        assert status == 409
        assert told["hint"] == "stores status"
        site.ok("up", "-d")
        assert next(value for name, value in events if name == "logs-begin")["cursor"]
        page.post("/api/v1/services/restart", {"targets": ["shop"]})
        assert next(value for name, value in events if name == "logs")["lines"]


def test_a_hundred_thousand_lines_are_searched_and_paged_while_requests_go_on(page: Page, site: Site) -> None:
    log = next(site.folder.glob("state/stores/workspaces/*/logs")) / "gateway.log"
    before = log.read_bytes()
    log.write_bytes(
        before + b"".join(b"\x1b[32mline\x1b[0m %d of many, as long as lines are\n" % n for n in range(100_000))
    )
    lines, cursor, slowest = 0, "", 0.0
    while True:
        began = time.monotonic()
        told = page.get(f"/api/v1/logs?targets=gateway&limit=5000{cursor}")
        slowest = max(slowest, time.monotonic() - began)
        lines += len(told["lines"])
        if told["before"] is None:
            break
        cursor = f"&before={told['before']}"
    assert lines == 100_000 + before.count(b"\n")
    assert slowest < 5  # a tenth of that on a machine of one's own
    told, found = {"before": ""}, []
    while told["before"] is not None:
        cursor = f"&before={told['before']}" if told["before"] else ""
        told = page.get(f"/api/v1/logs?targets=gateway&q=LINE%1B[0m%20777%20of{cursor}".replace("[", "%5B"))
        found += told["lines"]
    assert [line["text"] for line in found] == ["\x1b[32mline\x1b[0m 777 of many, as long as lines are"]


def test_stores_open_opens_the_page_with_a_ticket_that_signs_in(page: Page, site: Site) -> None:
    opened = site.folder / "opened"
    browser = site.program("browser.sh", f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    said = site.ok("open", env={"BROWSER": f"{browser} %s"}).strip()
    url, _, ticket = said.partition("#ticket=")
    assert url == f"http://{page.host}/"  # where this machine's resolver and roots know the domain: https
    assert wait_until(lambda: opened.exists() and opened.read_text().strip(), "the browser was started") == said
    status, _, fields = page.ask("POST", "/api/v1/session", {"ticket": ticket}, Origin=f"http://{page.host}")
    assert (status, "SameSite=Strict" in fields["Set-Cookie"]) == (204, True)


def test_without_anything_that_runs_stores_open_says_how_to_start_it(tmp_path: Path) -> None:
    other = Site(tmp_path)
    done = other.stores("open")
    other.end()
    assert done.returncode == 3
    assert "stores up -d" in done.stderr
