"""One real situation, and one test, for each cause that the page names. One system runs for all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psutil
import pytest
from whole_system import HTML, WholeSystem
from workbench import wait_until

from proxy_addons.fallback.words import words

LISTEN = """
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("up", flush=True)
while True:
    server.accept()[0].close()
"""
CRASH = r"""
import sys
for number in range(80):
    print(f"step {number}")
print("\x1b[1;31mNo database\x1b[0m at \x1b[36mlocalhost\x1b[0m \x1b]0;owned\x07<script>alert(1)</script>", flush=True)
sys.exit(3)
"""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeSystem]:
    made = WholeSystem(tmp_path_factory.mktemp("causes"))
    try:
        prepare(made)
        made.begin_all()
        begin_troubles(made)
        yield made
    finally:
        made.end()


def prepare(system: WholeSystem) -> None:
    system.program("listen.py", LISTEN)
    system.program("crash.py", CRASH)
    for name in ("unset", "stale"):
        (system.root / name).mkdir()
        (system.root / name / "Makefile").write_text("setup:\n\t@true\ndev:\n\t@true\n")
    facts = {"remote": False, "setup": ""}
    system.service("absent", dir="nowhere", remote=False, repo="https://github.com/example/absent")
    system.service("unset", dir="unset", remote=False)
    system.service("stale", dir="stale", remote=False)
    system.service("idle", "web: sleep 600", **facts)
    system.service("begun", "web: sleep 600", **facts)
    system.service("waiting", "web: sleep 600", needs=["begun"], **facts)
    system.service("crashed", "web: exec python3 crash.py", restart="never", **facts)
    system.service("killed", "web: kill -SEGV $$", restart="never", **facts)
    system.service("thief", "web: exec python3 listen.py 127.0.0.1 0", ready={"log": "up"}, **facts)
    system.service("astray", "web: exec python3 listen.py 127.0.0.1 0", **facts)
    system.service("foreign", "web: exec python3 listen.py 127.0.0.2 $PORT", **facts)
    system.service("refusing", "web: echo up; exec sleep 600", ready={"log": "up"}, **facts)
    system.service("curt", "web: exec python3 listen.py 127.0.0.1 $PORT", **facts)


def begin_troubles(system: WholeSystem) -> None:
    system.ask("start", "thief", "curt", "refusing")
    (taken,) = psutil.Process(system.pids()["thief.web"]).net_connections()
    robbed = "web: exec python3 listen.py 127.0.0.1 $PORT"
    system.service("robbed", robbed, port=taken.laddr.port, remote=False, setup="")
    wait_until(lambda: "robbed" in system.states(), "it is registered")
    system.call("start", "crashed", "killed", "astray", "foreign", "begun", "waiting", urgent=True)
    assert "which is held by PID" in system.refused("start", "robbed", urgent=True).message
    assert system.stores("setup", "stale").returncode == 0
    (system.root / "stale" / "Makefile").write_text("setup:\n\t@echo more\n")


def test_not_cloned_says_where_it_should_be_and_how_to_get_it(system: WholeSystem) -> None:
    page = system.get("absent")
    assert (page.status, page.json["code"], page.json["hint"]) == (503, "not-cloned", "stores clone absent")
    assert str(system.root / "nowhere") in page.json["detail"]


def test_never_set_up(system: WholeSystem) -> None:
    page = system.get("unset")
    assert (page.status, page.json["code"], page.json["hint"]) == (503, "not-set-up", "stores setup unset")
    assert "make setup" in page.json["detail"]


def test_set_up_before_its_lock_files_changed(system: WholeSystem) -> None:
    page = system.get("stale")
    assert (page.status, page.json["code"], page.json["hint"]) == (503, "setup-stale", "stores setup stale")


def test_stopped(system: WholeSystem) -> None:
    page = system.get("idle")
    assert (page.status, page.json["code"], page.json["hint"]) == (503, "stopped", "stores start idle")


def test_starting_says_for_how_long_and_what_it_waits_for(system: WholeSystem) -> None:
    assert system.get_until("begun", "starting").status == 503
    page = system.get("begun", headers=HTML)
    port = next(service["port"] for service in system.status()["services"] if service["name"] == "begun")
    assert f"for its port {port} ($PORT) to open" in page.text
    assert "starting for " in page.text
    in_japanese = system.get("begun", headers={"Accept": "text/html", "Accept-Language": "ja"}).text
    assert f"ポート {port}" in in_japanese
    assert "が開くこと" in in_japanese


@pytest.mark.parametrize(
    "text",
    [
        "for GET /healthz on port 3000",
        "for a line of output like up",
        "for account, till to be ready",
        "for its turn: others are starting",
        "to live a moment",
    ],
)
def test_what_a_start_waits_for_is_told_in_the_readers_language(text: str) -> None:
    assert words("en").wait(text) == text
    assert not words("ja").wait(text).startswith(("for ", "to "))


def test_one_that_waits_for_another_names_it(system: WholeSystem) -> None:
    assert system.get_until("waiting", "starting").status == 503
    assert "for begun to be ready" in system.get("waiting", headers=HTML).text


def test_on_a_terminal_a_crash_shows_its_last_lines_and_programs_are_told_the_same(system: WholeSystem) -> None:
    document = system.get_until("crashed", "crashed").json
    text = system.get("crashed", headers={"Accept": "*/*"}).text
    last = "".join(f"  step {number}\n" for number in range(76, 80))
    assert f"\nLast lines of its output:\n{last}  No database at localhost <script>alert(1)</script>\n\n" in text
    assert "\x1b" not in text
    for fact in document["facts"]:
        assert fact["label"] in text
    for command in document["commands"]:
        assert f"\n  {command['line']}\n      {command['does']}\n" in text
    assert document["hint"] == document["commands"][0]["line"]
    assert document["log"][-1].startswith("No database")


def test_crashed_says_the_exit_code_in_words_and_shows_its_last_fifty_lines_in_colour(system: WholeSystem) -> None:
    page = system.get_until("crashed", "crashed")
    assert page.status == 502
    assert "web: exit code 3" in page.json["detail"]
    assert len(page.json["log"]) == 50
    assert page.json["log"][-1] == "No database at localhost <script>alert(1)</script>"
    shown = system.get("crashed", headers=HTML).text
    assert '<span class="bold red">No database</span> at <span class="cyan">localhost</span>' in shown
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script>alert" not in shown
    assert "owned" not in shown
    assert "step 30\n" not in shown
    assert "step 31\n" in shown


def test_a_signal_is_told_in_words(system: WholeSystem) -> None:
    page = system.get_until("killed", "crashed")
    assert "SIGSEGV: an invalid memory access" in page.json["detail"]


def test_a_taken_port_names_who_holds_it(system: WholeSystem) -> None:
    page = system.get_until("robbed", "port-taken")
    thief = system.pids()["thief.web"]
    assert page.status == 502
    assert "listen.py 127.0.0.1" in page.json["detail"]
    assert f"and PID {thief} (" in page.json["detail"]


def test_listening_on_another_port_than_its_own(system: WholeSystem) -> None:
    page = system.get_until("astray", "other-port")
    assert page.status == 502
    assert "astray listens on 127.0.0.1:" in page.json["detail"]


def test_bound_to_an_address_where_the_gateway_is_not(system: WholeSystem) -> None:
    page = system.get_until("foreign", "foreign-address")
    port = next(service["port"] for service in system.status()["services"] if service["name"] == "foreign")
    assert page.status == 502
    assert f"bound to 127.0.0.2:{port} only" in page.json["detail"]


def test_refuses_although_it_said_that_it_is_up(system: WholeSystem) -> None:
    page = system.get("refusing")
    assert (page.status, page.json["code"], page.json["log"]) == (502, "refused", ["up"])


def test_closes_without_an_answer(system: WholeSystem) -> None:
    page = system.get("curt")
    assert (page.status, page.json["code"]) == (502, "broken-answer")


def test_a_file_with_a_mistake_names_its_line(system: WholeSystem) -> None:
    (system.root / "Procfile.d" / "wrong").write_text("web: make dev\nthis is no line\n")
    page = system.get_until("wrong", "mistake")
    assert page.status == 502
    assert page.json["mistakes"][0].startswith("Procfile.d/wrong:2: not a Procfile line")
    assert "Procfile.d/wrong:2:" in system.get("wrong", headers=HTML).text
    (system.root / "Procfile.d" / "wrong").unlink()
    wait_until(lambda: system.get("wrong").json["code"] == "unknown-host", "it is forgotten again")


def test_a_mistake_in_a_known_services_file_is_told_beside_what_else_is_wrong(system: WholeSystem) -> None:
    file = system.root / "Procfile.d" / "idle"
    right = file.read_text()
    file.write_text(f"{right}\nnonsense\n")
    wait_until(lambda: "mistakes" in system.get("idle").json, "the mistake is told")
    page = system.get("idle").json
    assert page["code"] == "stopped"
    assert "Procfile.d/idle:" in page["mistakes"][0]
    file.write_text(right)


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize(
    "name", ["absent", "unset", "stale", "idle", "begun", "crashed", "robbed", "astray", "foreign", "refusing", "curt"]
)
def test_no_page_is_larger_than_thirty_kilobytes(system: WholeSystem, name: str, language: str) -> None:
    page = system.get(name, f"/{'x' * 6000}", headers={"Accept": "text/html", "Accept-Language": language})
    assert len(page.text.encode()) <= 30_000
    assert page.headers["Content-Language"] == language
    assert os.fspath(system.root) in page.text
