"""`stores setup` makes folders ready, in order, and remembers for which lock files it did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from workbench import Site


def makefile(site: Site, name: str, *recipe: str) -> Path:
    folder = site.root / name
    folder.mkdir(exist_ok=True)
    lines = "".join(f"\t{line}\n" for line in recipe)
    (folder / "Makefile").write_text(f"setup:\n{lines}\ndev:\n\tsleep 600\n")
    site.service(name, "web: sleep 600\n", dir=name)
    return folder


def setup_of(site: Site, name: str) -> str:
    return str(next(one for one in site.status()["services"] if one["name"] == name)["setup"])


def test_each_make_setup_runs_in_the_services_environment_and_the_result_is_remembered(site: Site) -> None:
    folder = makefile(site, "netshop", "@echo installing for $$STORES_SERVICE", "@pwd > done")
    assert setup_of(site, "netshop") == "never"
    assert "netshop: never set up (stores setup netshop)" in site.stores("status").stdout
    done = site.stores("setup", "netshop")
    assert done.returncode == 0
    assert "netshop: make setup …" in done.stderr
    assert "netshop: set up in " in done.stderr
    assert (folder / "done").read_text().strip() == str(folder)
    assert setup_of(site, "netshop") == "done"
    log = next((site.folder / "state").rglob("setup/netshop.log"))
    assert log.read_text() == "installing for netshop\n"


@pytest.mark.parametrize(
    "name",
    ["Gemfile.lock", "package-lock.json", "yarn.lock", "go.sum", "requirements-dev.txt", "uv.lock", "build.gradle.kts"],
)
def test_a_changed_or_new_manifest_makes_the_setup_stale(site: Site, name: str) -> None:
    folder = makefile(site, "netshop", "@true")
    (folder / "README").write_text("one")
    site.ok("setup", "netshop")
    (folder / "README").write_text("two")
    assert setup_of(site, "netshop") == "done"
    (folder / name).write_text("one")
    assert setup_of(site, "netshop") == "stale"
    assert "netshop: setup stale (stores setup netshop)" in site.stores("status").stdout
    site.ok("setup", "netshop")
    assert setup_of(site, "netshop") == "done"
    (folder / name).write_text("two")
    assert setup_of(site, "netshop") == "stale"
    (folder / name).write_text("one")
    assert setup_of(site, "netshop") == "done"


def test_the_order_is_that_of_needs(site: Site) -> None:
    for name in ("account", "netshop", "organization"):
        makefile(site, name, f"@echo {name} >> {site.folder}/order")
    for name, needs in (("account", ["organization"]), ("netshop", ["account"])):
        site.service(name, "web: sleep 600\n", dir=name, needs=needs)
    site.ok("setup", "netshop")
    assert (site.folder / "order").read_text().split() == ["organization", "account", "netshop"]
    site.ok("setup", "netshop")
    assert (site.folder / "order").read_text().split()[3:] == ["netshop"]


def test_it_stops_at_the_first_failure_with_its_last_lines(site: Site) -> None:
    makefile(site, "account", "@for n in $$(seq 30); do echo line $$n; done", "@echo no such compiler >&2; exit 3")
    folder = makefile(site, "netshop", "@touch done")
    site.service("netshop", "web: sleep 600\n", dir="netshop", needs=["account"])
    done = site.stores("setup")
    assert done.returncode == 1
    assert "account: make setup failed, exit code 2" in done.stderr
    assert "no such compiler" in done.stderr
    assert "line 30" in done.stderr
    assert "line 3\n" not in done.stderr
    assert "account.log" in done.stderr
    assert not (folder / "done").exists()
    assert setup_of(site, "account") == "never"


def test_a_setup_of_its_own_is_run_instead(site: Site) -> None:
    site.service("netshop", "web: sleep 600\n", setup="echo one && touch two")
    site.ok("setup", "netshop")
    assert (site.root / "two").exists()
    assert setup_of(site, "netshop") == "done"
    site.service("netshop", "web: sleep 600\n", setup="touch three")
    assert setup_of(site, "netshop") == "stale"


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("dev:\n\ttrue\n", "none"),
        ("setup:\n\ttrue\n", "never"),
        ("install setup: x\n\ttrue\nx:\n", "never"),
        ("setup := 1\nsetup=2\nsetups:\n\ttrue\n", "none"),
        (".PHONY: setup\nsetup: bundle\n", "never"),
        ("include common.mk\n", "never"),
    ],
)
def test_a_folder_whose_makefile_has_no_setup_needs_none(site: Site, text: str, state: str) -> None:
    (site.root / "Makefile").write_text(text)
    site.service("netshop", "web: sleep 600\n")
    assert setup_of(site, "netshop") == state


def test_what_is_not_cloned_is_said_and_the_others_are_set_up(site: Site) -> None:
    site.service("account", dir="nowhere")
    makefile(site, "netshop", "@true")
    done = site.stores("setup")
    assert done.returncode == 0
    assert "account: not cloned (stores clone account)" in done.stderr
    assert "netshop: set up in" in done.stderr
    assert setup_of(site, "account") == "absent"
    named = site.stores("setup", "account")
    assert named.returncode == 1
    assert "stores clone account" in named.stderr


def test_stale_leaves_alone_what_is_done(site: Site) -> None:
    for name in ("account", "netshop"):
        makefile(site, name, f"@echo {name} >> {site.folder}/order")
    site.ok("setup", "account")
    done = site.stores("setup", "--stale", "--json")
    assert [one["name"] for one in json.loads(done.stdout)] == ["netshop"]
    assert (site.folder / "order").read_text().split() == ["account", "netshop"]


def test_what_a_setup_leaves_running_does_not_hold_it_up(site: Site) -> None:
    makefile(site, "netshop", "@sleep 300 & echo started")
    site.ok("setup", "netshop", timeout=30)
    assert setup_of(site, "netshop") == "done"
