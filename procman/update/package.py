"""An update of this program where it was installed as a package: by what installed it, from where that had it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

from procman.errors import StoresError

_NAME = "stores"
#: Seconds for the installer, downloads included, and for the self-check.
_INSTALL, _CHECK = 1800.0, 300.0
_LAST_LINES = 15


@dataclass(frozen=True, slots=True)
class Package:
    """`installer`: ``uv``, ``pipx`` or ``pip``. `source` is what a new version is asked for by, `present` this one.

    Both name where the package came from, be it an index or a repository: elsewhere the same name is another package.
    """

    installer: str
    version: str
    source: str
    present: str

    @classmethod
    def here(cls) -> Package:
        """As it is installed. Raises `StoresError` where nobody can tell how."""
        return cls.of(Path(sys.prefix), distribution(_NAME))

    @classmethod
    def of(cls, prefix: Path, found: Distribution) -> Package:
        """As it is installed in the environment at `prefix`."""
        source, present = _sources(found)
        return cls(_installer(prefix, found), found.version, source, present)

    def upgrade(self) -> list[str]:
        """The command that brings the newest version."""
        return {
            "uv": ["uv", "tool", "upgrade", _NAME],
            "pipx": ["pipx", "upgrade", _NAME],
            "pip": [sys.executable, "-m", "pip", "install", "--upgrade", self.source],
        }[self.installer]

    def restore(self) -> list[str]:
        """The command that brings this version back."""
        return {
            "uv": ["uv", "tool", "install", "--force", self.present],
            "pipx": ["pipx", "install", "--force", self.present],
            "pip": [sys.executable, "-m", "pip", "install", "--force-reinstall", "--no-deps", self.present],
        }[self.installer]


def _installer(prefix: Path, found: Distribution) -> str:
    """By what uv and pipx leave at the top of the environments that they make."""
    if (prefix / "uv-receipt.toml").is_file():
        return "uv"
    if (prefix / "pipx_metadata.json").is_file():
        return "pipx"
    said = (found.read_text("INSTALLER") or "").strip()
    if said == "pip":
        return "pip"
    raise StoresError(
        f"Nobody can tell how stores was installed into {prefix} ({said or 'no installer'} says it did)",
        "Install the new version the same way, then: stores update",
    )


def _sources(found: Distribution) -> tuple[str, str]:
    """PEP 610: direct_url.json stands where it did not come from an index."""
    text = found.read_text("direct_url.json")
    if not text:
        return _NAME, f"{_NAME}=={found.version}"
    direct = json.loads(text)
    vcs = direct.get("vcs_info")
    if not vcs:
        return f"{_NAME} @ {direct['url']}", f"{_NAME} @ {direct['url']}"
    wanted = vcs.get("requested_revision")
    base = f"{_NAME} @ {vcs['vcs']}+{direct['url']}"
    return f"{base}@{wanted}" if wanted else base, f"{base}@{vcs['commit_id']}"


def run(command: list[str]) -> None:
    """Has an installer do it. Raises `StoresError` with its last words."""
    if shutil.which(command[0]) is None:
        raise StoresError(f"{command[0]} installed stores, and it is not there any more", f"Install {command[0]}")
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_INSTALL, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise StoresError(f"{command[0]} takes longer than {_INSTALL:g} s") from error
    if done.returncode:
        raise StoresError(
            f"{' '.join(command)} failed:\n{_tail(done.stderr or done.stdout)}",
            "Is there a network? Nothing was changed",
        )


def version() -> str:
    """The version that is on the disk now; this process may be an older one."""
    code = f"import importlib.metadata as m; print(m.version({_NAME!r}))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def check(folder: Path) -> None:
    """Has what is on the disk now check itself. Raises `StoresError`."""
    command = [sys.executable, "-P", "-m", "procman.update.self_check", str(folder)]
    try:
        done = subprocess.run(
            command, env=dict(os.environ), capture_output=True, text=True, timeout=_CHECK, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise StoresError(f"The new version's self-check takes longer than {_CHECK:g} s") from error
    if done.returncode:
        raise StoresError(f"The new version fails its self-check: {_tail(done.stderr)}")


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-_LAST_LINES:])
