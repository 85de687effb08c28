"""Starting a process: its own session, its directory, its output into one descriptor, and nothing else inherited."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from procman.machine import proc
from procman.process import shell_words

#: Inherited sockets are given the numbers from here on: above every descriptor that the supervisor itself has open.
FIRST_SOCKET = 200

#: A soft limit on descriptors that is lower (macOS: 256) is raised: each process takes three here, each client one.
DESCRIPTORS = 4096


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
    simple = shell_words.split(command)
    if simple:
        command = f"{simple[0]}exec {simple[1]}"
    return f'cd -- "$0" || exit 126\n{command}'


def start(launch: Launch, output: int, terminal: str = "") -> int:
    """Starts it and returns its PID. Raises ``OSError`` where even the shell cannot be started (out of processes).

    It writes to the descriptor `output`; or it gets the terminal at the path `terminal`, to read from and write to.
    """
    streams: list[tuple[int, int, int] | tuple[int, int, str, int, int]] = (
        # opened by the leader of a new session, a terminal becomes the one that controls it: Ctrl-C reaches the program
        [(os.POSIX_SPAWN_OPEN, 0, terminal, os.O_RDWR, 0), *((os.POSIX_SPAWN_DUP2, 0, number) for number in (1, 2))]
        if terminal
        else [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            *((os.POSIX_SPAWN_DUP2, output, number) for number in (1, 2)),
        ]
    )
    sockets = [(os.POSIX_SPAWN_DUP2, number, FIRST_SOCKET + index) for index, number in enumerate(launch.sockets)]
    text = script(launch.command)
    if _soft_limit:
        text = f"ulimit -Sn {_soft_limit}\n{text}"
    return os.posix_spawn(
        "/bin/sh",
        ["/bin/sh", "-c", text, str(launch.cwd)],
        {**launch.env, "PWD": str(launch.cwd)},
        file_actions=[*streams, *sockets],
        setsid=True,
        setsigmask=[],
        setsigdef=[number for number in signal.valid_signals() if number not in {signal.SIGKILL, signal.SIGSTOP}],
    )


_soft_limit = 0


def raise_descriptor_limit() -> None:
    """For this process alone: its children get the limit back that it was started with."""
    global _soft_limit  # noqa: PLW0603 (a limit belongs to the process, as this does)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            _soft_limit = soft


def open_standard_streams() -> None:
    """A program started without stdin, stdout or stderr would give their numbers to its first files."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 (0 to 2 are the standard streams)
        pass
    os.close(number)


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
        for pid in tuple(self._waiting):
            with contextlib.suppress(ChildProcessError):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    self._waiting.pop(pid)(os.waitstatus_to_exitcode(status))
        if sys.platform == "linux":  # elsewhere nobody gives us orphans
            self._collect_orphans()

    def _collect_orphans(self) -> None:
        """What services left behind is in other sessions than this one; a child in ours belongs to whoever ran it."""
        own = os.getsid(0)
        with contextlib.suppress(ChildProcessError, ProcessLookupError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in self._waiting or os.getsid(ended.si_pid) == own:
                    return
                os.waitpid(ended.si_pid, 0)
