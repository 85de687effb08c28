"""One file of Procfile.d is wrong: what has nothing to do with it goes on, and all are told which one, and the mend."""

from __future__ import annotations

import subprocess

from workbench import Site, wait_until

_UP = "web: echo up; exec sleep 600\n"
_PLACE = "Procfile.d/broken:4: not a Procfile line"


def _said(done: subprocess.CompletedProcess[str]) -> int:
    """The exit code of a command that told of the mistake as a warning: file, line, text and mend."""
    assert done.stderr.startswith(f"stores: warning: {_PLACE}\n    web sleep\n  Write it as  name: command"), (
        done.stderr
    )
    return done.returncode


def _with_a_broken_file(site: Site) -> None:
    """The system runs, and a file that was never right has come."""
    site.service("shop", _UP, ready={"log": "^up$"})
    site.ok("up", "-d", "gateway")
    site.service("broken", "web sleep\n")
    wait_until(lambda: site.status()["mistakes"], "the mistake is seen")


def test_the_other_services_are_started_restarted_and_stopped_with_a_warning(site: Site) -> None:
    _with_a_broken_file(site)
    for verb in (("start", "shop"), ("up", "-d", "shop"), ("restart", "shop"), ("stop", "shop"), ("start",)):
        assert _said(site.stores(*verb)) == 0
    assert site.process("shop.web")["state"] == "ready"
    done = site.stores("start", "shop", "--json")
    assert _said(done) == 0
    assert done.stdout.startswith("[")


def test_a_second_run_joins_with_a_warning(site: Site) -> None:
    _with_a_broken_file(site)
    joined = site.begin("run", "shop")
    joined.wait_for("shop.web | up")
    assert f"stores: warning: {_PLACE}" in joined.text


def test_who_only_looks_is_shown_what_there_is(site: Site) -> None:
    _with_a_broken_file(site)
    site.ok("start", "shop")
    assert _PLACE in site.ok("status", "shop")
    assert "shop.web | up" in site.ok("logs", "shop")
    assert "/\n" in site.ok("open", "shop", env={"BROWSER": "true"})
    assert _said(site.stores("env", "shop")) == 0
    assert _said(site.stores("exec", "shop", "--", "true")) == 0
    site.ok("down")
    assert "shop.web | up" in site.ok("logs", "shop")
    assert site.stores("status").returncode == 3


def test_a_service_whose_file_became_wrong_is_started_as_its_last_good_state_was(site: Site) -> None:
    site.service("broken", _UP, ready={"log": "^up$"})
    site.ok("up", "-d", "gateway")
    site.service("broken", "web sleep\n")
    wait_until(lambda: site.status()["mistakes"], "the mistake is seen")
    assert _said(site.stores("start", "broken")) == 0
    assert "ready" in site.ok("status", "broken")


def test_who_asks_for_a_service_whose_file_was_never_right_is_told_why_there_is_none(site: Site) -> None:
    _with_a_broken_file(site)
    for verb in (("start", "broken"), ("restart", "broken"), ("env", "broken"), ("status", "broken")):
        done = site.stores(*verb)
        assert done.returncode == 2
        assert f"stores: {_PLACE}" in done.stderr
        assert "Mend this, then type: stores check" in done.stderr


def test_where_nothing_runs_there_is_no_last_good_state_and_nothing_starts(site: Site) -> None:
    site.service("shop", _UP)
    site.service("broken", "web sleep\n")
    for verb in (("run", "shop"), ("up", "-d", "shop"), ("up", "shop")):
        done = site.stores(*verb)
        assert done.returncode == 2
        assert done.stderr.startswith(f"stores: {_PLACE}\n    web sleep\n  Write it as  name: command")
    assert site.stores("status").returncode == 3


def test_who_needs_a_service_whose_file_is_wrong_is_told_of_that_file_alone(site: Site) -> None:
    site.service("shop", _UP, needs=["broken"])
    site.service("broken", "web sleep\n")
    said = site.stores("check").stderr
    assert _PLACE in said
    assert "which is no service" not in said


def test_wrong_settings_are_everybodys_and_are_not_guessed(site: Site) -> None:
    site.service("shop", _UP)
    (site.root / "stores.toml").write_text("domian = 3\n")
    done = site.stores("env", "shop")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("stores: stores.toml:1")


def test_a_service_is_added_beside_a_broken_file(site: Site) -> None:
    site.service("broken", "web sleep\n")
    site.ok("add", "shop")
    assert (site.root / "Procfile.d/shop").is_file()
