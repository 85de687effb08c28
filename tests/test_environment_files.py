"""A service's .env files are read as they are written, or refused with their place; never a line is skipped."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest
from workbench import Site

from procman.environment.env_file import parse
from procman.mistake import MistakesError

#: Prints its environment as one line of JSON, and stays.
SHOW = "import json, os, time; print('ENV ' + json.dumps(dict(os.environ)), flush=True); time.sleep(600)"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=1\nB = 2\n", {"A": "1", "B": "2"}),
        ("export A=1\n", {"A": "1"}),
        ("A=\nB=''\nC=\"\"\n", {"A": "", "B": "", "C": ""}),
        (
            "A='one # two'\nB=\"one # two\"\nC=one # two\nD=one#two\n",
            {"A": "one # two", "B": "one # two", "C": "one", "D": "one#two"},
        ),
        ("# a comment\n\n   # another\nA=1 # a third\n", {"A": "1"}),
        ('A="one\ntwo\n"\nB=3\n', {"A": "one\ntwo\n", "B": "3"}),
        (r'A="one\ntwo\t\"three\""' + "\n", {"A": 'one\ntwo\t"three"'}),
        (r"A='one\ntwo'" + "\n", {"A": r"one\ntwo"}),
        ('A={"key": ["value", 1]}\n', {"A": '{"key": ["value", 1]}'}),
        ('A=\'{"key": "a # b"}\'\n', {"A": '{"key": "a # b"}'}),
        ("\ufeffA=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A=postgres://u:p@h/db?x=1&y=2\n", {"A": "postgres://u:p@h/db?x=1&y=2"}),
        ("A=1\nA=2\n", {"A": "2"}),
        ("A=日本語\n", {"A": "日本語"}),
        ("A=last line without newline", {"A": "last line without newline"}),
        ("", {}),
        ("A=1\nB=${A}2\nC=${MISSING:-none}\nD=${MISSING}\n", {"A": "1", "B": "12", "C": "none", "D": ""}),
        ("B='${A} $(x) `y`'\nC=$A\nD=\"$(x)\"\n", {"B": "${A} $(x) `y`", "C": "$A", "D": "$(x)"}),
        ("A=file\nB=${SHELL_HAS}\n", {"A": "file", "B": "shell"}),
        ("export SHELL_HAS\n", {"SHELL_HAS": "shell"}),
    ],
)
def test_every_form_of_a_line_means_what_it_says(text: str, values: dict[str, str]) -> None:
    assert parse(text, ".env", {"SHELL_HAS": "shell"}) == values


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("A=1\n\nB: 2\n", 3, "not a line of a .env file"),
        ('A=1\nB="never closed\nC=3\n', 2, "not a line of a .env file"),
        ("A=1\n# x\nsome words\n", 3, "not a line of a .env file"),
        ('A="x" y\n', 1, "not a line of a .env file"),
        ('A={\n  "key": 1\n}\n', 2, "not a line of a .env file"),
        ("A=1\nB\n", 2, "For an empty value write: B="),
        ("A=a\0b\n", 1, "a NUL"),
    ],
)
def test_a_line_that_is_none_is_named_with_its_place(text: str, line: int, said: str) -> None:
    with pytest.raises(MistakesError) as caught:
        parse(text, "shop/.env", {})
    assert str(caught.value).startswith(f"shop/.env:{line}: ")
    assert said in str(caught.value)


def test_all_mistakes_of_a_file_are_said_at_once() -> None:
    with pytest.raises(MistakesError) as caught:
        parse("a b\nA=1\nc d\n", ".env", {})
    assert [mistake.line for mistake in caught.value.mistakes] == [1, 3]


def test_a_mistake_does_not_show_the_value_which_may_be_a_password() -> None:
    with pytest.raises(MistakesError) as caught:
        parse('PASSWORD="hunter2" oops\n', ".env", {})
    assert "PASSWORD=…" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def seen(site: Site, name: str) -> dict[str, str]:
    """The environment that a process, running SHOW, printed last."""
    lines = [line for line in site.ok("logs", name, "--json").splitlines() if '"ENV ' in line]
    return dict(json.loads(json.loads(lines[-1])["text"].removeprefix("ENV ")))


def registered(site: Site, **facts: Any) -> None:
    site.program("show.py", SHOW)
    site.service("netshop", "web: python3 show.py\n", ready={"log": "^ENV"}, **facts)


def test_the_shell_beats_the_files_and_the_services_own_table_beats_both(site: Site) -> None:
    (site.root / ".env").write_text("ONE=file\nTWO=file\nTHREE=file\nFOUR=file\nPORT=1\n")
    (site.root / ".env.local").write_text("TWO=local\nURL=${STORES_URL}\n")
    registered(site, env={"FOUR": "table", "TWO_B": "table"})
    site.ok("up", "-d", env={"THREE": "shell", "FOUR": "shell"})
    env = seen(site, "netshop.web")
    assert [env[name] for name in ("ONE", "TWO", "THREE", "FOUR")] == ["file", "local", "shell", "table"]
    assert env["PORT"] == str(site.process("netshop.web")["port"])
    assert env["URL"] == env["STORES_URL"]


def test_env_file_names_the_files_and_the_default_ones_are_then_not_read(site: Site) -> None:
    (site.root / "config").mkdir()
    (site.root / "config/dev.env").write_text("ONE=dev\n")
    (site.root / ".env").write_text("ONE=env\nTWO=env\n")
    registered(site, env_file=["config/dev.env"])
    site.ok("up", "-d")
    env = seen(site, "netshop.web")
    assert env["ONE"] == "dev"
    assert "TWO" not in env


def test_a_file_that_env_file_names_and_that_is_not_there_is_an_error(site: Site) -> None:
    registered(site, env_file=[".env", "config/dev.env"])
    (site.root / ".env").write_text("ONE=env\n")
    done = site.stores("up", "-d")
    assert done.returncode == 1
    assert "config/dev.env: netshop wants it, and there is no such file" in done.stderr


def test_a_mistake_in_a_file_keeps_its_service_from_starting_and_no_other(site: Site) -> None:
    (site.root / "shop").mkdir()
    (site.root / "shop/.env").write_text("A=1\nno variable at all\n")
    registered(site)
    site.service("reserve", "web: sleep 600\n", dir="shop")
    done = site.stores("up", "-d")
    assert done.returncode == 1
    assert f"{site.root}/shop/.env:2: not a line of a .env file" in done.stderr
    assert site.process("netshop.web")["state"] == "ready"
    assert site.process("reserve.web")["state"] == "failed"


def test_a_change_of_a_file_takes_effect_at_the_next_start_and_is_told_before(site: Site) -> None:
    (site.root / ".env").write_text("ONE=before\n")
    registered(site)
    site.ok("up", "-d")
    assert "restart due" not in site.ok("status")
    (site.root / ".env").write_text("ONE=after\n")
    assert "restart due" in site.ok("status")
    assert site.process("netshop.web")["restart_due"] is True
    assert seen(site, "netshop.web")["ONE"] == "before"
    site.ok("restart", "netshop")
    assert seen(site, "netshop.web")["ONE"] == "after"
    assert site.process("netshop.web")["restart_due"] is False


def test_stores_check_reads_the_files_too(site: Site) -> None:
    (site.root / ".env").write_text("A=1\nno variable at all\n")
    registered(site)
    done = site.stores("check")
    assert done.returncode == 2
    assert ".env:2: not a line" in done.stderr


def test_after_the_supervisor_was_killed_a_changed_file_means_a_new_start(site: Site) -> None:
    (site.root / ".env").write_text("ONE=before\n")
    registered(site)
    site.ok("up", "-d")
    first = site.process("netshop.web")["pid"]
    os.kill(site.supervisor, signal.SIGKILL)
    site.ok("up", "-d")
    assert site.process("netshop.web")["pid"] == first
    os.kill(site.supervisor, signal.SIGKILL)
    (site.root / ".env").write_text("ONE=after\n")
    site.ok("up", "-d")
    assert site.process("netshop.web")["pid"] != first
    assert seen(site, "netshop.web")["ONE"] == "after"
