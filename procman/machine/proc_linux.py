"""Processes as Linux shows them. The same verbs as `proc_macos`; chosen by `proc`."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from procman.machine.seen import Seen

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h

_LISTEN = "0A"  # linux/net/tcp_states.h

_LOOK_AGAIN = 0.05  # seconds


def boot_id() -> str:
    """Another value after each boot: what a PID meant before it means nothing now."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def look(pid: int) -> Seen | None:
    """The process `pid`, or None where there is none, or only its zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123 (hundreds of times a scan: Path costs 3 x)
            text = file.read(1024)
    except OSError:
        return None
    # proc(5): the command stands in parentheses and may itself contain them, so fields count from the last one
    fields = text[text.rindex(b")") + 2 :].split()
    if fields[0] in {b"Z", b"X"}:
        return None
    return Seen(pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def everyone() -> Iterator[Seen]:
    """Every living process."""
    for name in os.listdir("/proc"):  # noqa: PTH208 (names are wanted, not paths)
        if name.isdigit() and (seen := look(int(name))):
            yield seen


def environ(pid: int) -> bytes:
    """The environment that a process of this user began with, NUL-separated; empty for another user's."""
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:  # noqa: PTH123 (as above)
            return file.read()
    except OSError:
        return b""


def send(pid: int, start: int, number: int) -> bool:
    """Signals exactly the process that was seen: the pidfd is opened first, its identity checked second."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        seen = look(pid)
        if seen is None or seen.start != start:
            return False
        signal.pidfd_send_signal(pidfd, number)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


def on_exit(loop: asyncio.AbstractEventLoop, pid: int, start: int, callback: Callable[[], None]) -> Callable[[], None]:
    """Calls `callback` once when the process has ended, child of ours or not. Returns what takes the watch back."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        loop.call_soon(callback)
        return lambda: None
    except OSError:  # no descriptor left: whoever waits looks again, but not a thousand times a second
        return loop.call_later(_LOOK_AGAIN, callback).cancel

    watched = [pidfd]

    def forget() -> None:
        while watched:  # once: by the second time the number may be another file's
            loop.remove_reader(watched[0])
            os.close(watched.pop())

    def ended() -> None:
        forget()
        callback()

    loop.add_reader(pidfd, ended)
    seen = look(pid)
    if seen is None or seen.start != start:
        forget()
        loop.call_soon(callback)
        return lambda: None
    return forget


def adopt_orphans() -> None:
    """Makes this process the parent of descendants that lose theirs, so that they can be reaped (prctl(2))."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def free_memory() -> int:
    """Bytes that new processes can have without swapping (proc(5), MemAvailable)."""
    with contextlib.suppress(OSError), open("/proc/meminfo", "rb") as file:  # noqa: PTH123 (as above)
        for line in file:
            if line.startswith(b"MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 1 << 62  # a kernel that does not tell holds nobody up


def listening(pids: Iterable[int]) -> set[int]:
    """The TCP ports on which these processes listen (proc(5), net/tcp). Without psutil, which costs 4 MB."""
    sockets = {link for pid in pids for link in _links(f"/proc/{pid}/fd") if link.startswith("socket:[")}
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6") if sockets else ():
        with contextlib.suppress(OSError), open(table, encoding="ascii") as file:  # noqa: PTH123 (as above)
            for fields in map(str.split, file):
                if fields[3] == _LISTEN and f"socket:[{fields[9]}]" in sockets:
                    found.add(int(fields[1].rpartition(":")[2], 16))
    return found


def _links(folder: str) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 (names are wanted, not paths)
            with contextlib.suppress(OSError):  # it was closed meanwhile
                yield os.readlink(f"{folder}/{name}")  # noqa: PTH115 (as above)


def open_descriptors() -> list[int]:
    """The numbers of this process's open descriptors."""
    return [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208 (names are wanted, not paths)
