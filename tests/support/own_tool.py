"""A checkout of this program with a repository, environment and workspace of its own: to be updated, and broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from whole_system import HERE, WholeSystem
from workbench import ROOT

#: In place of the installation from the lock, which needs a network: an environment that borrows this one's libraries.
VENV = f"""#!/bin/sh
set -eu
"$1" -m venv --without-pip --clear "$2"
site=$("$2/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
printf '%s\\n%s\\n' "$PWD" {sysconfig.get_path("purelib")} > "$site/stores.pth"
printf '#!%s/bin/python\\nprint("script")\\n' "$2" > "$2/bin/tool"
chmod +x "$2/bin/tool"
"""


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.com", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class OwnTool(WholeSystem):
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
        self.python = str(self.checkout / ".venv/bin/python")
        self.program("serve.py", HERE)
        self.service("shop", f"web: exec {sys.executable} serve.py\nworker: sleep 1000\n", setup="", remote=False)

    def install(self) -> None:
        """Makes the checkout's environment."""
        subprocess.run([".ci/venv", sys.executable, str(self.checkout / ".venv")], cwd=self.checkout, check=True)

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
