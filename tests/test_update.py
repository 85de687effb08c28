"""`stores update` from a real repository, under services that run: they keep their PIDs; a bad version is undone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_tool import OwnTool, git
from workbench import ROOT

pytestmark = pytest.mark.long


@pytest.fixture
def tool(tmp_path: Path) -> Iterator[OwnTool]:
    made = OwnTool(tmp_path)
    made.install()
    try:
        made.ok("up", "-d")
        made.port = made.status()["gateway"]["http"]
        yield made
    finally:
        made.end()


def test_what_runs_goes_on_under_the_new_version(tool: OwnTool) -> None:
    before, gateway, supervisor = tool.pids(), tool.status()["gateway"], tool.supervisor
    old = tool.head
    assert tool.about()["commit"] == old
    new = tool.release("Say a new word", **{"procman__state.py": "\nNEW = True\n"})
    planned = tool.ok("update", "--dry-run")
    assert "Say a new word" in planned
    assert str(tool.root) in planned
    assert (tool.head, tool.about()["commit"]) == (old, old)  # nothing was done
    told = json.loads(tool.ok("update", "--json"))
    assert (told["from"], told["to"], told["changes"], told["updated"]) == (old, new, ["Say a new word"], True)
    assert told["handed_over"] == [{"workspace": str(tool.root), "pid": supervisor, "kept": before, "anew": []}]
    assert (tool.head, tool.about()["commit"], tool.supervisor) == (new, new, supervisor)
    assert tool.pids() == before
    assert tool.status()["gateway"]["http"] == gateway["http"]
    assert tool.status()["gateway"]["pid"] != gateway["pid"]  # it runs the new code, too
    assert tool.get("shop").text == "here"
    assert tool.left() == []
    assert "is up to date" in tool.ok("update")
    assert tool.pids() == before


def test_a_version_that_wants_other_libraries_gets_an_environment_anew(tool: OwnTool) -> None:
    before = tool.pids()
    new = tool.release("Want more", **{"requirements.lock": "\n# more\n"})
    assert "libraries" in tool.ok("update")
    assert (tool.head, tool.about()["commit"]) == (new, new)
    assert tool.pids() == before
    assert tool.left() == []
    venv = tool.checkout / ".venv"
    assert subprocess.run([venv / "bin/tool"], check=True, capture_output=True).stdout == b"script\n"
    assert (venv / ".installed").stat().st_mtime >= (tool.checkout / "requirements.lock").stat().st_mtime
    assert ".new" not in (venv / "pyvenv.cfg").read_text()
    assert str(tool.checkout) in next(venv.glob("lib/python*/site-packages/stores.pth")).read_text()


def test_a_version_that_fails_its_self_check_is_not_put_in_place(tool: OwnTool) -> None:
    before, old = tool.pids(), tool.about()
    tool.release("Break the gateway", **{"proxy_addons__chain.py": "\nraise SystemExit(7)\n"})
    done = tool.stores("update")
    assert done.returncode == 1
    assert "fails its self-check" in done.stderr
    assert (tool.head, tool.about(), tool.pids()) == (old["commit"], old, before)
    assert tool.left() == []


def test_a_version_that_cannot_take_over_gives_way_to_the_old_one(tool: OwnTool) -> None:
    before, old = tool.pids(), tool.head
    # it works in the workspace of the self-check, and in no other
    bad = "\nimport os\nassert 'STORES_STATE_DIR' in os.environ\n"
    tool.release("Break adoption", **{"procman__supervisor__adoption.py": bad})
    done = tool.stores("update")
    assert done.returncode == 1
    assert "The old version is back in place" in done.stderr
    assert (tool.head, tool.about()["commit"]) == (old, old)
    assert tool.pids() == before
    assert tool.get("shop").text == "here"
    assert tool.left() == []


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("dirty", "has changes of your own: procman/state.py"),
        ("gone", "The new version cannot be fetched"),
        ("detached", "on no branch"),
        ("own", "follows no other one"),
        ("ahead", "has 1 commits that origin/main has not"),
    ],
)
def test_what_stands_in_the_way_is_said_and_nothing_is_touched(tmp_path: Path, trouble: str, said: str) -> None:
    tool = OwnTool(tmp_path)
    if trouble == "dirty":
        (tool.checkout / "procman/state.py").write_text("mine")
    elif trouble == "gone":
        tool.origin.rename(tmp_path / "elsewhere")
    elif trouble == "detached":
        git(tool.checkout, "switch", "-q", "--detach")
    elif trouble == "own":
        git(tool.checkout, "switch", "-q", "-c", "mine")
    else:
        tool.release("Theirs", **{"procman__state.py": "\n"})
        git(tool.checkout, "commit", "-q", "--allow-empty", "-m", "Mine")
    # what the command itself is made of stands elsewhere, so that it can be broken
    command = [sys.executable, "-P", "-c", PLAN.format(folder=str(tool.checkout))]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert f"git -C {tool.checkout}" in done.stderr
    tool.end()


PLAN = """
import sys
from pathlib import Path
from procman.errors import StoresError
from procman.update.checkout import Checkout
try:
    print(Checkout.at(Path({folder!r})).plan())
except StoresError as error:
    sys.exit(f"{{error.message}}\\n{{error.hint}}")
"""


def test_a_supervisor_of_another_place_stays_as_it_is(tool: OwnTool) -> None:
    other = tool.folder / "other"
    (other / "Procfile.d").mkdir(parents=True)
    command = [sys.executable, "-P", "-m", "procman.cli", "up", "-d"]
    done = subprocess.run(command, cwd=other, env=tool.env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    tool.release("Say a new word", **{"procman__state.py": "\n"})
    told = json.loads(tool.ok("update", "--json"))
    assert [one["workspace"] for one in told["handed_over"]] == [str(tool.root)]
    assert any(str(other) in line and "runs from" in line for line in told["silent"])
