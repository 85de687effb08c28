"""What `stores start` says: of what was asked for, and of nothing else; and what to type where it failed."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
from pathlib import Path

from workbench import Site, wait_until

from procman.machine import ports
from procman.mistake import unreadable


def test_who_starts_a_service_hears_nothing_of_another_that_crashes_meanwhile(site: Site) -> None:
    site.service("crasher", "web: exit 3\n", restart="never")
    site.service("shop", "web: until [ -e go ]; do sleep 0.05; done; echo up; exec sleep 600\n", ready={"log": "^up$"})
    site.ok("up", "-d", "gateway")
    starting = site.begin("start", "shop")
    starting.wait_for("shop.web starting")
    assert site.stores("start", "crasher").returncode == 1
    (site.root / "go").touch()
    assert starting.wait() == 0
    assert "shop.web ready" in starting.text
    assert "crasher" not in starting.text


def test_what_a_service_needs_is_heard_of_too(site: Site) -> None:
    site.service("shop", "web: echo up; exec sleep 600\n", ready={"log": "^up$"}, needs=["account"])
    site.service("account", "web: echo up; exec sleep 600\n", ready={"log": "^up$"})
    site.ok("up", "-d", "gateway")
    said = site.stores("start", "shop").stderr
    assert "account.web ready" in said
    assert "shop.web ready" in said


def test_what_has_no_folder_is_to_be_cloned_for_it_wrote_nothing(site: Site) -> None:
    site.service("gone", "web: make dev\n", dir="../gone", repo="https://github.com/example/gone")
    site.ok("up", "-d", "gateway")
    for verb in ("start", "restart"):
        done = site.stores(verb, "gone")
        assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "  Get it: stores clone gone")
    told = site.stores("status").stdout
    assert f"gone: there is no folder {site.root.parent / 'gone'}" in told
    assert "gone: not cloned (stores clone gone)" in told


def test_the_last_lines_of_a_crash_stand_below_its_name_in_the_status(site: Site) -> None:
    site.service("crasher", "web: echo loading; echo boom; exit 3\n", restart="never")
    site.ok("up", "-d", "gateway")
    site.stores("start", "crasher")
    assert "crasher: exit code 3\n    loading\n    boom\n" in site.stores("status").stdout


def test_open_names_the_address_that_this_machine_can_reach(site: Site) -> None:
    site.service("shop", "web: echo up; exec sleep 600\n", ready={"log": "^up$"})
    site.ok("up", "-d", "shop")
    port = site.status()["gateway"]["http"]
    assert site.ok("open", "shop", env={"BROWSER": "true"}) == f"http://shop.localhost:{port}/\n"
    assert f"without DNS and CA: http://NAME.localhost:{port}/\n" in site.ok("status")


def test_a_workspace_that_is_none_is_named_with_what_to_type(site: Site, tmp_path: Path) -> None:
    done = site.stores("-w", str(tmp_path), "status")
    said = f"stores: {tmp_path} is no workspace: there is no Procfile.d/ in it"
    hint = "  Name another one: stores -w DIR, or STORES_WORKSPACE=DIR"
    assert (done.returncode, done.stderr.splitlines()) == (2, [said, hint])


def test_a_state_folder_that_is_none_is_said_with_what_to_type(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    site.service("shop", "web: sleep 600\n")
    elsewhere = {"XDG_STATE_HOME": str(tmp_path / "file")}
    assert site.stores("status", env=elsewhere).returncode == 3
    done = site.stores("up", "-d", env=elsewhere)
    assert done.returncode == 1
    assert done.stderr.startswith("stores: Cannot use ")
    assert "export STORES_STATE_DIR=" in done.stderr


def test_no_mend_proposes_what_is_wrong_itself(site: Site) -> None:
    site.service("shop", "web: sleep 600\n", port=99999)
    (site.root / "stores.toml").write_text("[gateway]\nhttp = 99999\n")
    said = site.stores("check").stderr
    assert "For example: port = 0" not in said
    assert "For example: http = -1" not in said
    assert "Leave port out, and it is chosen." in said
    assert "Leave http out, and it is chosen." in said


def test_a_file_that_may_not_be_read_is_no_matter_of_utf_8(site: Site) -> None:
    file = site.service("shop", "web: sleep 600\n")
    file.unlink()
    file.symlink_to(file)  # nobody can read that, root included
    said = json.loads(site.stores("check", "--json").stdout)["mistakes"]
    assert [one["mend"] for one in said] == ["It is a link that leads to itself: ls -l Procfile.d/shop"]
    forbidden = unreadable("Procfile.d/shop", PermissionError(errno.EACCES, "Permission denied"))
    assert forbidden.mend == "Make it yours to read: chmod u+r Procfile.d/shop"


def test_the_name_of_a_new_service_is_mended_before_there_is_a_file(site: Site) -> None:
    done = site.stores("add", "My Shop")
    assert (done.returncode, done.stderr) == (
        2,
        'stores: "My Shop" cannot be a host name\n  For example: stores add my-shop\n',
    )


def test_clone_says_where_there_is_nothing_to_clone(site: Site) -> None:
    site.service("shop", "web: sleep 600\n")
    done = site.stores("clone")
    assert (done.returncode, done.stderr) == (0, "Nothing to clone: every service that names a repo is here.\n")


def test_what_runs_already_is_said_so(site: Site) -> None:
    site.service("shop", "web: echo up; exec sleep 600\n", ready={"log": "^up$"})
    site.ok("up", "-d", "shop")
    assert site.stores("start", "shop").stderr == "shop.web ready\n"
    assert site.stores("stop", "shop").stderr.endswith("shop.web stopped\n")
    assert site.stores("stop", "shop").stderr == "shop.web stopped\n"


def test_after_a_killed_supervisor_nobody_is_told_that_nothing_runs(site: Site) -> None:
    site.service("shop", "web: echo up; exec sleep 600\n", ready={"log": "^up$"})
    site.ok("up", "-d", "shop")
    os.kill(site.status()["pid"], signal.SIGKILL)
    wait_until(lambda: "The supervisor was killed" in site.stores("status").stdout, "its end is seen")
    done = site.stores("restart", "shop")
    assert done.returncode == 3
    assert "The supervisor was killed, and what it ran may still run" in done.stderr
    assert "stores up -d gateway takes it over" in done.stderr
    site.ok("up", "-d", "gateway")
    assert "The supervisor was killed" not in site.ok("status")


def test_logs_of_several_processes_stand_in_one_column(site: Site) -> None:
    text = "web: echo up; exec sleep 600\nworker: echo two; exec sleep 600\n"
    site.service("shop", text, ready={"log": "^up$"})
    site.ok("up", "-d", "shop")
    wait_until(lambda: site.ok("logs", "shop").count("|") == 2, "both have written")
    lines = site.ok("logs", "shop").splitlines()
    assert {line.index("|") for line in lines} == {len("HH:MM:SS shop.worker ")}


def test_ports_that_another_workspace_has_are_said_with_how_to_end_it(site: Site, tmp_path: Path) -> None:
    site.service("shop", "web: sleep 600\n")
    site.ok("up", "-d", "gateway")
    port = site.status()["dns"]["port"]
    (tmp_path / "other" / "Procfile.d").mkdir(parents=True)
    (tmp_path / "other" / "Procfile.d" / "till").write_text("web: sleep 600\n")
    done = site.stores("-w", str(tmp_path / "other"), "up", "-d", env={"STORES_DNS_PORT": str(port)})
    assert done.returncode == 1
    assert f"The resolver cannot have port {port}" in done.stderr
    assert f"Another workspace runs: stores -w {site.root} down. Or give this one ports of its own" in done.stderr


def test_a_holder_that_nobody_may_know_is_not_taken_for_a_workspace() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert ports.workspace_of(port) == ""  # free again: as unknown as another user's
    assert ports.freeing(port, "STORES_HTTP_PORT", "[gateway] http").startswith("Free it, or choose another one: ")


def test_a_link_that_leads_nowhere_is_a_mistake_and_no_service_less(site: Site) -> None:
    (site.root / "Procfile.d" / "shop").symlink_to("../elsewhere")
    done = site.stores("check")
    assert done.returncode == 2
    assert "Procfile.d/shop: leads to ../elsewhere, and there is nothing" in done.stderr
