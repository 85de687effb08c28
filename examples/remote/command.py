"""Runs until it is told to end, or until the command that it was started for has ended."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time

PASSED_ON = {signal.SIGTERM, signal.SIGHUP}
NOT_FOUND = 127  # as shells have it


class Run:
    """Signal handlers only record; `until_end` acts.

    Ctrl-C reaches the command too, which stands in the same process group, and what it does about it is its own affair:
    with a command, SIGINT is ignored here. SIGTERM and SIGHUP are passed on; after `grace` seconds, or at the second
    one, the command is killed with everything below it.
    """

    def __init__(self, command: list[str], grace: float) -> None:
        self._command = command
        self._grace = grace
        self._kill_at: float | None = None
        self._ear, voice = os.pipe()
        os.set_blocking(self._ear, False)
        os.set_blocking(voice, False)
        signal.set_wakeup_fd(voice, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGCHLD, *PASSED_ON):
            # A function and not SIG_IGN: the command would inherit that.
            signal.signal(number, lambda *_: None)

    def until_end(self, variables: dict[str, str]) -> int:
        """The exit code. `variables` are the command's, on top of the environment."""
        try:
            return self._until_end(variables)
        finally:
            for number in (signal.SIGINT, *PASSED_ON):
                # What comes now is late. Python gives handlers back to the system while it ends, and a signal that
                # falls into that moment would replace the exit code.
                signal.signal(number, signal.SIG_IGN)

    def _until_end(self, variables: dict[str, str]) -> int:
        if not self._command:
            self._next_signals({signal.SIGINT, *PASSED_ON})
            return 0
        if early := self._recorded({signal.SIGINT, *PASSED_ON}):  # Ctrl-C before there was a command to hear it
            return 128 + early[0]
        try:
            process = subprocess.Popen(self._command, env={**os.environ, **variables})
        except OSError as error:
            print(f"{self._command[0]}: {error.strerror}", file=sys.stderr)
            return NOT_FOUND
        while process.poll() is None:
            for number in self._next_signals({signal.SIGCHLD, *PASSED_ON}):
                self._act(process, number)
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                _kill_tree(process)
        return process.returncode if process.returncode >= 0 else 128 - process.returncode

    def _act(self, process: subprocess.Popen[bytes], number: int) -> None:
        if number in PASSED_ON and process.poll() is None:
            process.send_signal(number)
            again = self._kill_at is not None
            self._kill_at = time.monotonic() + (0 if again else self._grace)

    def _next_signals(self, awaited: set[signal.Signals]) -> list[int]:
        """Waits for one of the awaited signals, or for the moment to kill."""
        while True:
            timeout = None if self._kill_at is None else max(0, self._kill_at - time.monotonic())
            if not select.select([self._ear], [], [], timeout)[0]:
                return []
            if found := self._recorded(awaited):
                return found

    def _recorded(self, awaited: set[signal.Signals]) -> list[int]:
        try:
            return [number for number in os.read(self._ear, 4096) if number in awaited]
        except BlockingIOError:
            return []


def _kill_tree(process: subprocess.Popen[bytes]) -> None:
    """The command, and what it started and cannot end itself any more."""
    import psutil  # noqa: PLC0415 - for the rare command that does not listen

    try:
        below = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        below = []
    process.kill()
    process.wait()
    for child in below:
        try:
            child.kill()  # psutil compares the start time: never a stranger with the same number
        except psutil.NoSuchProcess:
            continue
