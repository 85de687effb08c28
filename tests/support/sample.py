"""The sample workspace as a clone has it, its remote environment, and the commands that a document shows."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from workbench import ROOT, Running, Site

#: What of this repository the workspace is made of.
FOLDERS = ("Procfile.d", "examples", ".ci")


def copy(to: Path) -> None:
    """The workspace's files, without what its services have written."""
    for name in FOLDERS:
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("var", "__pycache__", "node_modules"))
    shutil.copy(ROOT / "stores.toml", to)


class Sample(Site):
    """A copy of it. `stores` is on the PATH of what is started there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        shutil.rmtree(self.root)
        copy(self.root)
        self.put_on_path()

    def begin_remote(self, *arguments: str) -> Running:
        """The sample's remote environment, on ports of its own; returns once it is up."""
        remote = self.begin_program(sys.executable, "examples/remote", "--port", "0", *arguments)
        remote.wait_for("Ctrl-C ends", patience=60)
        return remote


def port_of(remote: Running) -> int:
    """Where the remote environment listens."""
    found = re.search(r"127\.0\.0\.1:(\d+)", remote.text)
    assert found, remote.text
    return int(found[1])


def commands(document: str) -> list[tuple[str, str]]:
    """Each command of a document in docs/, and what is to be seen after it."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    found: list[tuple[str, str]] = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = step.partition("\n")
            found.append((command, shown))
    return found
