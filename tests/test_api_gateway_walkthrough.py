"""The three situations of docs/api-gateway.md, command by command, in a copy of the sample workspace."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sample import Sample, commands, port_of
from workbench import Site

#: Between one command's output and the next one's.
MARK = "-- next command --"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Sample]:
    """The sample workspace with its remote."""
    made = Sample(tmp_path)
    try:
        remote = made.begin_remote()
        made.env["STORES_REMOTE_CONNECT_TO"] = f"::127.0.0.1:{port_of(remote)}"
        made.env["STORES_REMOTE_CA"] = str(made.root / "examples" / "remote" / "var" / "ca.pem")
        yield made
    finally:
        made.stores("down")
        for running in made.commands:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
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
    steps = commands("api-gateway.md")
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
