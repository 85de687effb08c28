"""Starting a process: its own session, its directory, its output into one descriptor, and nothing else inherited."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from procman import proc

#: Inherited sockets are given the numbers from here on: above every descriptor that the supervisor itself has open.
FIRST_SOCKET = 200

# What only a shell can do: lists, pipes, redirections, groups, substitutions over several commands, its own words.
_SHELL = re.compile(
    r"[&|;<>(){}`\n]|^\s*(?:if|for|while|until|case|exec|cd|export|set|unset|source|\.|!|:|trap|ulimit)\b"
)
_ASSIGNMENTS = re.compile(r"(?:\s*[A-Za-z_]\w*=(?:'[^']*'|\"[^\"]*\"|[^\s'\"])*\s+)*")


@dataclass(frozen=True, slots=True)
class Launch:
    """What is started: `command` for ``sh`` in directory `cwd`; `sockets` are inherited from FIRST_SOCKET on."""

    command: str
    cwd: Path
    env: dict[str, str]
    sockets: tuple[int, ...] = field(default=())


def script(command: str) -> str:
    """The text for ``sh -c``: a simple command replaces the shell, so that none stays behind.

    posix_spawn knows no directory, so the shell goes there (126: as shells say "found, but cannot be executed").
    """
    if _SHELL.search(command) is None:
        assignments = _ASSIGNMENTS.match(command)
        head = assignments.group() if assignments else ""
        command = f"{head}exec {command[len(head) :]}"
    return f'cd -- "$0" || exit 126\n{command}'


def start(launch: Launch, output: int) -> int:
    """Starts it and returns its PID. Raises ``OSError`` where even the shell cannot be started (out of processes)."""
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, output, 2),
        *((os.POSIX_SPAWN_DUP2, number, FIRST_SOCKET + index) for index, number in enumerate(launch.sockets)),
    ]
    return os.posix_spawn(
        "/bin/sh",
        ["/bin/sh", "-c", script(launch.command), str(launch.cwd)],
        {**launch.env, "PWD": str(launch.cwd)},
        file_actions=actions,
        setsid=True,
        setsigmask=[],
        setsigdef=[number for number in signal.valid_signals() if number not in {signal.SIGKILL, signal.SIGSTOP}],
    )


def close_on_exec() -> None:
    """Keeps what this process itself inherited (make's job server, an editor's pipes) from reaching the services."""
    for number in proc.open_descriptors():
        if number > 2:  # noqa: PLR2004 (0 to 2 are the standard streams)
            try:
                os.set_inheritable(number, False)
            except OSError:
                continue  # the descriptor with which the folder was listed


class Reaper:
    """Collects every child that has ended, and tells who waits for it. Orphans of services are collected too."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._waiting: dict[int, Callable[[int], None]] = {}
        loop.add_signal_handler(signal.SIGCHLD, self.child_ended)

    def expect(self, pid: int, callback: Callable[[int], None]) -> None:
        """Calls `callback` with the exit code (negative: the signal's number) once `pid` has ended."""
        self._waiting[pid] = callback

    def child_ended(self) -> None:
        """Signals of one kind are merged, so all that have ended are collected each time."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            callback = self._waiting.pop(pid, None)
            if callback:
                callback(os.waitstatus_to_exitcode(status))
