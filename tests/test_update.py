"""`stores update` from a real repository, under services that run: they keep their PIDs; a bad version is undone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import Any

import pytest
from whole_system import WholeSystem
from workbench import ROOT

from procman import update_package
from procman.errors import StoresError

#: In place of the installation from the lock, which needs a network: an environment that borrows this one's libraries.
VENV = f"""#!/bin/sh
set -eu
"$1" -m venv --without-pip --clear "$2"
site=$("$2/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
printf '%s\\n%s\\n' "$PWD" {sysconfig.get_path("purelib")} > "$site/stores.pth"
printf '#!%s/bin/python\\nprint("script")\\n' "$2" > "$2/bin/tool"
chmod +x "$2/bin/tool"
"""
SERVE = """
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"here")
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"""


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.com", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Tool(WholeSystem):
    """A checkout of this program from a repository of its own, with an environment of its own, and a workspace."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.origin, self.checkout = folder / "origin", folder / "checkout"
        for name in ("procman", "proxy_addons", "dns", "certs"):
            shutil.copytree(ROOT / name, self.origin / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "requirements.lock", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, self.origin)
        (self.origin / ".gitignore").write_text(".venv*/\n__pycache__/\n")
        (self.origin / ".ci").mkdir()
        (self.origin / ".ci/venv").write_text(VENV)
        (self.origin / ".ci/venv").chmod(0o755)
        git(self.origin, "init", "-q", "-b", "main")
        self.release("The first one")
        git(folder, "clone", "-q", self.origin.as_uri(), str(self.checkout))
        subprocess.run([".ci/venv", sys.executable, str(self.checkout / ".venv")], cwd=self.checkout, check=True)
        self.python = str(self.checkout / ".venv/bin/python")
        self.program("serve.py", SERVE)
        self.service("shop", f"web: exec {sys.executable} serve.py\nworker: sleep 1000\n", setup="", remote=False)

    def release(self, subject: str, **files: str) -> str:
        """A new version; in the names of the files, two underscores are a slash. Returns the commit."""
        for name, text in files.items():
            path = self.origin / name.replace("__", "/")
            path.write_text(path.read_text() + text)
        git(self.origin, "add", "-A")
        git(self.origin, "commit", "-q", "-m", subject)
        return git(self.origin, "rev-parse", "HEAD")

    def stores(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.python, "-P", "-m", "procman.cli", *arguments],
            cwd=self.root,
            env=self.env | options.get("env", {}),
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def about(self) -> dict[str, Any]:
        return dict(self.ask("about"))

    @property
    def head(self) -> str:
        return git(self.checkout, "rev-parse", "HEAD")

    def left(self) -> list[str]:
        """What an update may not leave behind."""
        names = [
            path.name for path in self.checkout.iterdir() if path.name.startswith(".venv") and path.name != ".venv"
        ]
        trees = git(self.checkout, "worktree", "list", "--porcelain").count("worktree ")
        return names + ["a worktree"] * (trees - 1)


@pytest.fixture
def tool(tmp_path: Path) -> Iterator[Tool]:
    made = Tool(tmp_path)
    try:
        made.ok("up", "-d")
        made.port = made.status()["gateway"]["http"]
        yield made
    finally:
        made.end()


def test_what_runs_goes_on_under_the_new_version(tool: Tool) -> None:
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


def test_a_version_that_wants_other_libraries_gets_an_environment_anew(tool: Tool) -> None:
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


def test_a_version_that_fails_its_self_check_is_not_put_in_place(tool: Tool) -> None:
    before, old = tool.pids(), tool.about()
    tool.release("Break the gateway", **{"proxy_addons__chain.py": "\nraise SystemExit(7)\n"})
    done = tool.stores("update")
    assert done.returncode == 1
    assert "fails its self-check" in done.stderr
    assert (tool.head, tool.about(), tool.pids()) == (old["commit"], old, before)
    assert tool.left() == []


def test_a_version_that_cannot_take_over_gives_way_to_the_old_one(tool: Tool) -> None:
    before, old = tool.pids(), tool.head
    # it works in the workspace of the self-check, and in no other
    bad = "\nimport os\nassert 'STORES_STATE_DIR' in os.environ\n"
    tool.release("Break adoption", **{"procman__adoption.py": bad})
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
    tool = Tool(tmp_path)
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
from procman.update_checkout import Checkout
try:
    print(Checkout.at(Path({folder!r})).plan())
except StoresError as error:
    sys.exit(f"{{error.message}}\\n{{error.hint}}")
"""


def test_a_supervisor_of_another_place_stays_as_it_is(tool: Tool) -> None:
    other = tool.folder / "other"
    (other / "Procfile.d").mkdir(parents=True)
    command = [sys.executable, "-P", "-m", "procman.cli", "up", "-d"]
    done = subprocess.run(command, cwd=other, env=tool.env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    tool.release("Say a new word", **{"procman__state.py": "\n"})
    told = json.loads(tool.ok("update", "--json"))
    assert [one["workspace"] for one in told["handed_over"]] == [str(tool.root)]
    assert any(str(other) in line and "runs from" in line for line in told["silent"])


class Installed(Tool):
    """The same, installed by pip from the repository. The libraries are this environment's, and nothing is fetched."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        venv = folder / "installed"
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        self.python = str(venv / "bin/python")
        site = next(venv.glob("lib/python*/site-packages"))
        (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
        self.env |= {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_CACHE_DIR": "1"}
        pip = [self.python, "-m", "pip"]
        version = subprocess.run([*pip, "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
        if tuple(map(int, version.split(".")[:2])) < (24, 1):
            super().end()
            pytest.skip(f"pip {version} cannot install from a repository on this disk by name")
        subprocess.run([*pip, "install", "--quiet", self.url], env=self.env, check=True)

    @property
    def url(self) -> str:
        return f"stores @ git+{self.origin.as_uri()}@main"

    def bump(self, version: str, **files: str) -> None:
        text = (self.origin / "pyproject.toml").read_text()
        (self.origin / "pyproject.toml").write_text(re.sub(r"(?m)^version = .*$", f'version = "{version}"', text))
        self.release(version, **files)


def test_an_installed_package_is_upgraded_from_where_it_came_and_put_back_where_it_is_no_good(tmp_path: Path) -> None:
    tool = Installed(tmp_path)
    try:
        tool.ok("up", "-d")
        tool.port = tool.status()["gateway"]["http"]
        before, life = tool.pids(), tool.about()["life"]
        tool.bump("0.2.0")
        assert f"git+{tool.origin.as_uri()}@main" in tool.ok("update", "--dry-run")
        assert "to 0.2.0" in tool.ok("update")
        assert tool.ok("--version") == "stores 0.2.0\n"
        assert (tool.pids(), tool.about()["life"] == life) == (before, False)
        tool.bump("0.3.0", **{"proxy_addons__chain.py": "\nraise SystemExit(7)\n"})
        done = tool.stores("update")
        assert (done.returncode, "The old version is back in place" in done.stderr) == (1, True), done.stderr
        assert tool.ok("--version") == "stores 0.2.0\n"
        assert tool.pids() == before
        assert tool.get("shop").text == "here"
    finally:
        tool.end()


@pytest.mark.parametrize(
    ("marker", "upgrade", "restore"),
    [
        ("uv-receipt.toml", "uv tool upgrade stores", "uv tool install --force stores==1.2.3"),
        ("pipx_metadata.json", "pipx upgrade stores", "pipx install --force stores==1.2.3"),
    ],
)
def test_what_uv_and_pipx_installed_they_upgrade(tmp_path: Path, marker: str, upgrade: str, restore: str) -> None:
    (tmp_path / marker).write_text("")
    package = update_package.Package.of(tmp_path, distribution_in(tmp_path))
    assert (" ".join(package.upgrade()), " ".join(package.restore())) == (upgrade, restore)


def test_a_package_that_nobody_owns_up_to_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(StoresError, match="Nobody can tell how stores was installed"):
        update_package.Package.of(tmp_path, distribution_in(tmp_path))


def distribution_in(folder: Path) -> PathDistribution:
    info = folder / "stores-1.2.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stores\nVersion: 1.2.3\n")
    return PathDistribution(info)
