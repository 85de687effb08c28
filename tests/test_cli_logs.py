"""`stores logs` shows what was asked for: by name, group, glob, number, time and pattern, running or not."""

from __future__ import annotations

import json

import pytest
from workbench import Site


@pytest.fixture
def wrote(site: Site) -> Site:
    """Three services that wrote something and still run."""
    for name in ("netshop", "network", "reserve"):
        lines = "; ".join(f"echo {name} {kind} {number}" for number in range(3) for kind in ("info", "ERROR"))
        site.service(
            name,
            f"web: {lines}; echo done; exec sleep 600\nworker: echo at work; exec sleep 600\n",
            ready={"log": "done"},
        )
    (site.root / "stores.toml").write_text('[groups]\nbooking = ["netshop", "reserve"]\n')
    site.ok("up", "-d")
    return site


def shown(site: Site, *arguments: str) -> list[tuple[str, str]]:
    lines = map(json.loads, site.ok("logs", "--json", *arguments).splitlines())
    return [(line["name"], line["text"]) for line in lines]


@pytest.mark.parametrize("state", ["running", "ended"])
def test_names_processes_groups_and_globs_choose(wrote: Site, state: str) -> None:
    if state == "ended":
        wrote.ok("down")

    def names(*arguments: str) -> set[str]:
        return {name for name, _ in shown(wrote, *arguments)}

    assert names("netshop") == {"netshop.web", "netshop.worker"}
    assert names("netshop.worker", "reserve") == {"netshop.worker", "reserve.web", "reserve.worker"}
    assert names("booking.web") | names("net*.worker") == {"network.worker", "netshop.worker", *names("booking.web")}
    assert names("booking") == {"netshop.web", "netshop.worker", "reserve.web", "reserve.worker"}
    assert names("net*") == {"netshop.web", "netshop.worker", "network.web", "network.worker"}
    assert {"netshop.web", "network.web", "reserve.web"} <= names()
    assert wrote.stores("logs", "netshpo").returncode == 4


@pytest.mark.parametrize("state", ["running", "ended"])
def test_n_counts_what_matches_for_each_process(wrote: Site, state: str) -> None:
    if state == "ended":
        wrote.ok("down")
    assert shown(wrote, "netshop.web", "-n", "1") == [("netshop.web", "done")]
    found = shown(wrote, "netshop.web", "reserve.web", "--grep", "ERROR", "-n", "2")
    assert sorted(found) == [(f"{name}.web", f"{name} ERROR {n}") for name in ("netshop", "reserve") for n in (1, 2)]
    assert shown(wrote, "netshop", "-n", "0") == []
    assert shown(wrote, "netshop", "--grep", "ERROR", "-n", "0") == []


def test_since_leaves_out_what_is_older(wrote: Site) -> None:
    assert len(shown(wrote, "netshop.web", "--since", "1h")) == 7
    assert shown(wrote, "netshop.web", "--since", "2999-01-01T00:00") == []
    done = wrote.stores("logs", "--since", "yesterday")
    assert (done.returncode, done.stdout) == (2, "")


def test_follow_goes_on_with_what_matches(wrote: Site) -> None:
    running = wrote.begin("logs", "-f", "netshop.web", "--grep", "ERROR 2|done", "-n", "1")
    running.wait_for("done")
    wrote.ok("restart", "netshop.web")
    running.wait_for("netshop ERROR 2")
    assert "info" not in running.text
    assert "ERROR 1" not in running.text


def test_a_wrong_pattern_is_a_usage_error(wrote: Site) -> None:
    done = wrote.stores("logs", "--grep", "(")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--grep (" in done.stderr
