"""Processes as macOS shows them. The same verbs as `proc_linux`; chosen by `proc`."""

# mypy: disable-error-code="attr-defined, unused-ignore"
# (kqueue is not in the select module of the system that mypy runs on, unless that is macOS)

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from collections.abc import Callable, Iterable, Iterator

import psutil

from procman.machine.seen import Seen

_LOOK_AGAIN = 0.05  # seconds


def boot_id() -> str:
    """Another value after each boot. The boot's second stays the same when the clock is set (sysctl kern.boottime)."""
    return f"{psutil.boot_time():.0f}"


def look(pid: int) -> Seen | None:
    """The process `pid`, or None where there is none, or only its zombie."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        # p_starttime is taken once, at the fork: setting the clock later does not change it
        return Seen(pid, process.ppid(), os.getpgid(pid), os.getsid(pid), int(process.create_time() * 1_000_000))
    except (psutil.Error, OSError):
        return None


def everyone() -> Iterator[Seen]:
    """Every living process."""
    for pid in psutil.pids():
        if seen := look(pid):
            yield seen


def environ(pid: int) -> bytes:
    """The environment that a process of this user began with, NUL-separated; empty for another user's."""
    try:
        return b"\0".join(os.fsencode(f"{key}={value}") for key, value in psutil.Process(pid).environ().items())
    except (psutil.Error, OSError):
        return b""


def send(pid: int, start: int, number: int) -> bool:
    """Signals exactly the process that was seen, as nearly as a system without pidfds can."""
    seen = look(pid)
    if seen is None or seen.start != start:
        return False
    try:
        os.kill(pid, number)
    except OSError:
        return False
    return True


def on_exit(loop: asyncio.AbstractEventLoop, pid: int, start: int, callback: Callable[[], None]) -> Callable[[], None]:
    """Calls `callback` once when the process has ended, child of ours or not (kqueue(2), EVFILT_PROC NOTE_EXIT)."""
    try:
        queue = select.kqueue()
    except OSError:  # no descriptor left: whoever waits looks again, but not a thousand times a second
        return loop.call_later(_LOOK_AGAIN, callback).cancel

    def forget() -> None:
        if not queue.closed:
            loop.remove_reader(queue.fileno())
            queue.close()

    def ended() -> None:
        forget()
        callback()

    loop.add_reader(queue.fileno(), ended)
    event = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD | select.KQ_EV_ONESHOT, select.KQ_NOTE_EXIT)
    try:
        queue.control([event], 0)
        seen = look(pid)
    except OSError:  # ESRCH: it ended before
        seen = None
    if seen is None or seen.start != start:
        forget()
        loop.call_soon(callback)
        return lambda: None
    return forget


def adopt_orphans() -> None:
    """Nothing: launchd is the parent of orphans here, and reaps them."""


def free_memory() -> int:
    """Bytes that new processes can have without swapping."""
    return int(psutil.virtual_memory().available)


def listening(pids: Iterable[int]) -> set[int]:
    """The TCP ports on which these processes listen."""
    found: set[int] = set()
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            connections = psutil.Process(pid).net_connections("tcp")
            found.update(one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN and one.laddr)
    return found


def open_descriptors() -> list[int]:
    """The numbers of this process's open descriptors."""
    return [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208 (names are wanted, not paths)
