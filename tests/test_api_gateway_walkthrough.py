"""The three situations of docs/api-gateway.md, command by command, in a copy of the sample workspace."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from workbench import ROOT, Running, Site

BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
#: Between one command's output and the next one's.
MARK = "-- next command --"


def commands() -> list[tuple[str, str]]:
    """Each command, and what is to be seen after it."""
    found: list[tuple[str, str]] = []
    for block in BLOCK.findall((ROOT / "docs" / "api-gateway.md").read_text(encoding="utf-8")):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], ""))
            else:
                command, shown = found.pop()
                found.append((command, f"{shown}{line}\n"))
    return found


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The sample workspace as a clone has it, its sample remote, and `stores` on the PATH."""
    made = Site(tmp_path)
    shutil.rmtree(made.root)
    for name in ("Procfile.d", "examples", ".ci"):
        shutil.copytree(ROOT / name, made.root / name, ignore=shutil.ignore_patterns("var", "__pycache__"))
    shutil.copy(ROOT / "stores.toml", made.root)
    program = tmp_path / "bin" / "stores"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m procman.cli "$@"\n')
    program.chmod(0o755)
    made.env["PATH"] = f"{program.parent}{os.pathsep}{made.env['PATH']}"
    process = subprocess.Popen(
        [sys.executable, "examples/remote", "--port", "0"],
        cwd=made.root,
        env=made.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    remote = Running(process)
    made.commands.append(remote)
    try:
        port = re.search(r"127\.0\.0\.1:(\d+)", remote.wait_for("Ctrl-C ends it"))
        assert port
        made.env["STORES_REMOTE_CONNECT_TO"] = f"::127.0.0.1:{port[1]}"
        made.env["STORES_REMOTE_CA"] = str(made.root / "examples" / "remote" / "var" / "ca.pem")
        yield made
    finally:
        made.stores("down")
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        made.end()


class Shell:
    """One shell for all commands, as a person has it."""

    def __init__(self, site: Site) -> None:
        self.errors = (site.folder / "shell.err").open("w+")
        self.process = subprocess.Popen(
            ["bash"],
            cwd=site.root,
            env=site.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            bufsize=1,
        )

    def run(self, command: str) -> str:
        """What it prints on stdout."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{command}\necho '{MARK}'\n")
        found = ""
        while not found.endswith(f"{MARK}\n"):
            line = self.process.stdout.readline()
            assert line, f"the shell ended at: {command}"
            found += line
        return found.removesuffix(f"{MARK}\n")

    def close(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()
        self.errors.close()


@pytest.mark.newest  # a document is tried; what it shows is tested on both
def test_each_command_of_the_walkthroughs_shows_what_the_document_says(site: Site) -> None:
    steps = commands()
    assert len(steps) > 15
    shell = Shell(site)
    try:
        for command, shown in steps:
            wanted = re.compile(re.escape(shown).replace(re.escape("  …\n"), "(?:.*\n)*?"))
            output = shell.run(command)
            deadline = time.monotonic() + 10
            # a change of stores.local.toml counts within a second, and a question may be asked again
            while shown and not wanted.fullmatch(output) and command.startswith("curl") and time.monotonic() < deadline:
                output = shell.run(command)
            assert not shown or wanted.fullmatch(output), (
                f"$ {command}\n{output}\n{(site.folder / 'shell.err').read_text()}"
            )
    finally:
        shell.close()
