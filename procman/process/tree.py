"""A process and everything that came of it: found by session, group, descent and a tag in the environment, and ended.

No single source is enough: a daemon leaves session, group and parent behind, and Ruby's ``$0 =`` can overwrite the
environment that ``/proc`` shows.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from procman.machine import proc
from procman.machine.seen import Seen

#: The variable that every process started here carries, and its descendants with it.
TAG = "STORES_RUN"

#: How long a killed process may take to be gone: one that hangs in the kernel (state D) never is.
KILL_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Tree:
    """What came of the process `pid`, which began its own session, and was started at `start` with `tag`.

    A `pid` of 0: only the tag is to be trusted. So it is where nobody saw the main process end: its PID may have been a
    stranger's meanwhile, and what stands in the session of that number a stranger's, too.
    """

    pid: int
    start: int
    tag: str

    def members(self) -> dict[int, int]:
        """The PIDs that live, each with its start. The main process may be gone, and its PID a stranger's by now."""
        living = {seen.pid: seen for seen in proc.everyone()}
        for pid in tuple(_ourselves(living)):
            del living[pid]
        leader = living.get(self.pid)
        ours = self.pid > 0 and (leader is None or leader.start == self.start)
        found = {
            pid: seen.start
            for pid, seen in living.items()
            if (ours and self.pid in {seen.sid, seen.pgid}) or _tag_of(pid, seen.start) == self.tag
        }
        while more := {pid: seen.start for pid, seen in living.items() if pid not in found and seen.ppid in found}:
            found.update(more)
        return found

    async def end(self, first: int, grace: float, hurry: asyncio.Event) -> Iterable[int]:
        """Ends all of it: `first` to the group, then to what fled from it, SIGKILL after `grace` seconds or on `hurry`.

        Returns the PIDs that even SIGKILL could not end, normally none.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        asked: set[int] = set()
        while (members := self.members()) and loop.time() < deadline and not hurry.is_set():
            group = {pid: start for pid, start in members.items() if _group(pid) == self.pid}
            now = {pid: start for pid, start in (group or members).items() if pid not in asked}
            for pid, start in now.items():
                proc.send(pid, start, first)
                proc.send(pid, start, signal.SIGCONT)  # one that was stopped (Ctrl-Z) hears nothing else
            asked.update(now)
            await _gone(group or members, deadline, hurry)
        patience = loop.time() + KILL_PATIENCE
        while members and loop.time() < patience:
            for pid, start in members.items():
                proc.send(pid, start, signal.SIGKILL)
            await _gone(members, patience, asyncio.Event())
            members = self.members()
        return members


def _ourselves(living: Mapping[int, Seen]) -> Iterator[int]:
    """The PIDs of this process and of those above it: `stores` may have been typed in a shell that a service opened."""
    pid = os.getpid()
    while pid in living:
        yield pid
        pid = living[pid].ppid


_tags: dict[tuple[int, int], str] = {}


def _tag_of(pid: int, start: int) -> str:
    """The tag that a process carries, or an empty text. Read once a process: the 300 others of a laptop cost 10 ms."""
    tag = _tags.get((pid, start))
    if tag is None:
        if len(_tags) > 4096:  # noqa: PLR2004 (only a bound, so that the memory of dead processes does not grow)
            _tags.clear()
        marker = f"{TAG}=".encode()
        environ = proc.environ(pid)
        found = next((part for part in environ.split(b"\0") if part.startswith(marker)), marker)
        tag = found[len(marker) :].decode("utf-8", "replace")  # a stranger's may be any bytes
        if environ:  # it is empty for a moment while a program replaces itself (execve)
            _tags[pid, start] = tag
    return tag


def tagged(prefix: str) -> list[tuple[Seen, str]]:
    """Every living process whose tag begins with `prefix`, with its tag."""
    living = {seen.pid: seen for seen in proc.everyone()}
    for pid in tuple(_ourselves(living)):
        del living[pid]
    return [(seen, tag) for seen in living.values() if (tag := _tag_of(seen.pid, seen.start)).startswith(prefix)]


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except OSError:
        return 0


async def _gone(members: dict[int, int], deadline: float, hurry: asyncio.Event) -> None:
    """Waits until all of `members` have ended, or the loop's time `deadline`, or `hurry`."""
    loop = asyncio.get_running_loop()
    left = set(members)
    all_gone = asyncio.Event()

    def ended(pid: int) -> None:
        left.discard(pid)
        if not left:
            all_gone.set()

    watches = [proc.on_exit(loop, pid, start, partial(ended, pid)) for pid, start in members.items()]
    waits = [asyncio.ensure_future(all_gone.wait()), asyncio.ensure_future(hurry.wait())]
    try:
        await asyncio.wait(waits, timeout=max(0.0, deadline - loop.time()), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        for forget in watches:
            forget()
