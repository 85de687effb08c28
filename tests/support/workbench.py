"""What tests share: a workspace of their own, with its own state, ports and environment, driven by the real program."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

#: How long a test waits for something that must happen; only a failing test waits so long. Seconds.
PATIENCE = 30.0

ROOT = Path(__file__).parents[2]


def wait_until(condition: Callable[[], Any], what: str = "", patience: float = PATIENCE) -> Any:
    """Returns the first true value of `condition`. Fails, naming `what`, when there is none in time."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    pytest.fail(f"in {patience:g} s it never happened: {what or condition}")


class Running:
    """A `stores` command that goes on, with its output as it comes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.output = b""
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(process.stdout, selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def text(self) -> str:
        return self.output.decode("utf-8", "replace")

    def read(self, timeout: float = 0.0) -> bool:
        """Takes what has been written. False once there will be no more."""
        assert self.process.stdout is not None
        if not self._selector.select(timeout):
            return True
        data = self.process.stdout.read()
        self.output += data or b""
        return data != b""

    def wait_for(self, text: str, patience: float = PATIENCE) -> str:
        """The output once `text` is in it."""
        deadline = time.monotonic() + patience
        while text.encode() not in self.output:
            if time.monotonic() > deadline or not self.read(0.1):
                pytest.fail(f"{text!r} was never shown; there was:\n{self.text}")
        return self.text

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, patience: float = PATIENCE) -> int:
        """Its exit code, once it has ended."""
        deadline = time.monotonic() + patience
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read(0.05)
        if self.process.poll() is None:
            pytest.fail(f"it did not end in {patience:g} s; there was:\n{self.text}")
        while self._selector.select(0) and self.read():
            pass
        return self.process.returncode

    def end(self) -> None:
        """Whatever happened, it is gone."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._selector.close()
        if self.process.stdout:
            self.process.stdout.close()


class Site:
    """A workspace in a temporary folder, and the `stores` program in an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "workspace"
        (self.root / "Procfile.d").mkdir(parents=True)
        self.commands: list[Running] = []
        self.runtime = Path(tempfile.mkdtemp(prefix="stores-"))  # pytest's folders are too deep for a socket's path
        self.env = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("STORES_", "XDG_")) and "proxy" not in key.lower()
        } | {
            "HOME": str(folder / "home"),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "STORES_HTTP_PORT": "0",
            "STORES_HTTPS_PORT": "0",
            "STORES_DNS_PORT": "0",
            "COLUMNS": "200",
            "NO_COLOR": "1",
        }
        (folder / "home").mkdir()

    def service(self, name: str, text: str = "", **facts: Any) -> Path:
        """Registers a service; its folder is the workspace, unless `dir` says otherwise."""
        facts = {"dir": ".", **facts}
        block = "".join(f"# {key} = {_toml(value)}\n" for key, value in facts.items())
        path = self.root / "Procfile.d" / name
        path.write_text(f"# /// stores\n{block}# ///\n{textwrap.dedent(text)}")
        return path

    def program(self, name: str, text: str) -> Path:
        """A Python program in the workspace's folder, for a Procfile line to run."""
        path = self.root / name
        path.write_text(textwrap.dedent(text))
        return path

    def stores(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "procman.cli", *arguments],
            cwd=options.get("cwd", self.root),
            env=self.env | options.get("env", {}),
            capture_output=True,
            text=True,
            timeout=options.get("timeout", 60),
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def ok(self, *arguments: str, **options: Any) -> str:
        """Runs a command that must succeed; returns what it printed."""
        done = self.stores(*arguments, **options)
        assert done.returncode == 0, f"stores {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def begin(self, *arguments: str, **options: Any) -> Running:
        """Starts a command that goes on (`run`, `logs -f`)."""
        return self.begin_program(sys.executable, "-P", "-m", "procman.cli", *arguments, **options)

    def begin_program(self, *command: str, **options: Any) -> Running:
        """Starts any program, in a session of its own; its stderr comes with its stdout."""
        process = subprocess.Popen(
            command,
            cwd=options.get("cwd", self.root),
            env=self.env | options.get("env", {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        running = Running(process)
        self.commands.append(running)
        return running

    def put_on_path(self) -> None:
        """A program called `stores`, for what is started from here."""
        program = self.folder / "bin" / "stores"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m procman.cli "$@"\n')
        program.chmod(0o755)
        self.env["PATH"] = f"{program.parent}{os.pathsep}{self.env['PATH']}"

    def status(self) -> dict[str, Any]:
        """`stores status --json`, whatever runs."""
        return json.loads(self.stores("status", "--json").stdout)

    def process(self, name: str) -> dict[str, Any]:
        """One process's status, by its whole name: ``netshop.web``."""
        service, _, process = name.partition(".")
        found = next(one for one in self.status()["services"] if one["name"] == service)
        return next(one for one in found["processes"] if one["name"] == process)

    def wait_for(self, name: str, state: str) -> dict[str, Any]:
        """A process's status once it is in a state."""
        return wait_until(lambda: (one := self.process(name))["state"] == state and one, f"{name} is {state}")

    @property
    def supervisor(self) -> int:
        """The PID of the supervisor that runs."""
        return int(next(self.folder.glob("state/stores/workspaces/*/supervisor.lock")).read_text().split()[0])

    def ours(self) -> list[psutil.Process]:
        """Every living process whose environment says that it belongs to this site."""
        marker = str(self.folder / "state")
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("XDG_STATE_HOME") == marker:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def end(self) -> None:
        """Ends what a test left running. Asserting that nothing is left is the tests' own business."""
        for running in self.commands:
            running.end()
        for process in self.ours():
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.Error:
                continue
        shutil.rmtree(self.runtime, ignore_errors=True)


@contextmanager
def brought_up(site: Site, *targets: str) -> Iterator[Site]:
    """For a file's tests together: all of it runs, or the targets alone, and ends with them."""
    try:
        site.ok("up", "-d", *targets)
        yield site
    finally:
        site.stores("down")
        site.end()


def _toml(value: Any) -> str:
    return (
        json.dumps(value)
        if not isinstance(value, dict)
        else "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    )
