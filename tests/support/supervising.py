"""A supervisor in the background, asked over its socket: as the commands do it, without their time to load."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from workbench import PATIENCE, ROOT, Running, Site, wait_until

from procman.clients import supervisor
from procman.clients.supervisor import Call
from procman.errors import StoresError
from procman.paths import Paths


class Supervising(Site):
    """A workspace whose supervisor a test starts, asks, kills and starts again."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.env["PATH"] = f"{Path(sys.executable).parent}:{self.env['PATH']}"  # `python3` without a version manager
        self.env["PYTHONPATH"] = str(ROOT / "tests/support/idle_gateway")
        self.env["STORES_PROXY"] = "never"  # so that nobody asks the system's resolver
        self.calls: list[Call] = []
        self.paths = Paths.of(self.root, self.env)

    def begin_supervisor(self, *targets: str, **options: Any) -> Running:
        """Starts it: in the background, or with targets as `stores run` does. Does not wait."""
        arguments = targets or ("--background",)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "procman", "--workspace", str(self.root), *arguments],
            cwd=self.root,
            env=self.env | options.get("env", {}),
            stdin=subprocess.DEVNULL,
            stdout=options.get("stdout", subprocess.PIPE),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        running = Running(process) if process.stdout else _Silent(process)
        self.commands.append(running)
        return running

    def supervise(self, *targets: str, **options: Any) -> Running:
        """Starts it, and waits until it answers."""
        running = self.begin_supervisor(*targets, **options)
        if not supervisor.wait_for_supervisor(self.paths, lambda: running.process.poll() is None, 30.0):
            raise AssertionError(f"the supervisor does not answer; it said:\n{running.wait() and running.text}")
        return running

    def ask(self, verb: str, *targets: str, **parameters: Any) -> Any:
        """What a command would be answered. Raises `StoresError` as the command would show it."""
        return supervisor.answer(self.paths, verb, targets=list(targets), **parameters)

    def call(self, verb: str, *targets: str, **parameters: Any) -> Call:
        """A question whose answer is read later, or never."""
        call = Call(self.paths, verb, targets=list(targets), **parameters)
        self.calls.append(call)
        return call

    def refused(self, verb: str, *targets: str, **parameters: Any) -> StoresError:
        """The error of a question that must fail."""
        try:
            answer = self.ask(verb, *targets, **parameters)
        except StoresError as error:
            return error
        raise AssertionError(f"{verb} {targets} was not refused: {answer}")

    def status(self) -> dict[str, Any]:
        """The snapshot."""
        return self.ask("status")

    def pids(self) -> dict[str, int]:
        """The main processes that live, the gateway left out."""
        return {
            f"{service['name']}.{process['name']}": process["pid"]
            for service in self.status()["services"]
            for process in service["processes"]
            if process["pid"]
        }

    def states(self) -> dict[str, str]:
        """The state of each service."""
        return {service["name"]: service["state"] for service in self.status()["services"]}

    def problem(self, name: str) -> str:
        """What is wrong with a service."""
        return next(service["problem"] for service in self.status()["services"] if service["name"] == name)

    def wait_for_states(self, **wanted: str) -> None:
        """Until each of these services is in its state."""
        states: dict[str, str] = {}
        deadline = time.monotonic() + PATIENCE
        while not wanted.items() <= (states := self.states()).items():
            if time.monotonic() > deadline:
                raise AssertionError(f"it never was {wanted}, it is {states}")
            time.sleep(0.01)

    def kill_supervisor(self) -> int:
        """As the kernel does it when memory is short. Returns its PID, which is no longer."""
        pid = self.supervisor
        os.kill(pid, signal.SIGKILL)
        for running in self.commands:
            if running.pid == pid:
                running.process.wait()
        # a child that it was just starting holds lock and socket, too, until it has become another program
        wait_until(lambda: supervisor.holder(self.paths) is None, "the supervisor is gone")
        return pid

    def services_left(self) -> list[psutil.Process]:
        """The living processes of services: supervisor, gateway and commands left out."""
        return [process for process in self.ours() if "STORES_SERVICE" in environ_of(process)]

    def end(self) -> None:
        """The supervisor first: what it would start again must not come back."""
        for call in self.calls:
            call.__exit__(None, None, None)
        for running in self.commands:
            running.end()
        super().end()


class _Silent(Running):
    """A command whose output nobody reads here."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.output = b""

    def read(self, timeout: float = 0.0) -> bool:
        return False

    def wait(self, patience: float = 30.0) -> int:
        return self.process.wait(patience)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def environ_of(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


def alive(pid: int) -> bool:
    """Whether a process of that PID lives (its zombie does not)."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
