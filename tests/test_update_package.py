"""`stores update` of an installed package: by what installed it, from where it came, and back where it is no good."""

from __future__ import annotations

import ensurepip
import re
import subprocess
import sys
import sysconfig
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
from own_tool import OwnTool

from procman.errors import StoresError
from procman.update import package as update_package

pytestmark = pytest.mark.long

#: The one that a new environment has.
PIP = tuple(map(int, ensurepip.version().split(".")[:2]))


class Installed(OwnTool):
    """The same, installed by pip from the repository. The libraries are this environment's, and nothing is fetched."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        venv = folder / "installed"
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        self.python = str(venv / "bin/python")
        site = next(venv.glob("lib/python*/site-packages"))
        (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
        self.env |= {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_CACHE_DIR": "1"}
        self.env["PIP_NO_COMPILE"] = "1"  # four installations, of which little is run
        subprocess.run([self.python, "-m", "pip", "install", "--quiet", self.url], env=self.env, check=True)

    @property
    def url(self) -> str:
        return f"stores @ git+{self.origin.as_uri()}@main"

    def bump(self, version: str, **files: str) -> None:
        text = (self.origin / "pyproject.toml").read_text()
        (self.origin / "pyproject.toml").write_text(re.sub(r"(?m)^version = .*$", f'version = "{version}"', text))
        self.release(version, **files)


@pytest.mark.newest  # it is pip that does it
@pytest.mark.skipif(PIP < (24, 1), reason="this pip cannot install from a repository on this disk by name")
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
