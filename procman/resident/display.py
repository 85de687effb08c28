"""The foreground's terminal: ``HH:MM:SS name | line``, each process in its colour, none ever waiting for another."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import stat
import time
from collections import deque
from collections.abc import Callable

from honcho.colour import get_colours

from procman.control_sequences import tame

#: What waits to be shown before the processes are paused, in bytes.
FULL = 1024 * 1024

#: A terminal that takes nothing for so long (Ctrl-S, a pager) must not stop the services: lines are skipped then.
PATIENCE = 1.0

# PIPE_BUF on Linux: a pipe or terminal that is ready for writing takes as much without blocking (pipe(7))
_PIECE = 4096


class Display:
    """Writes to one descriptor, which may be slow, stopped or gone."""

    def __init__(self, loop: asyncio.AbstractEventLoop, number: int, width: int, *, colour: bool) -> None:
        self._loop = loop
        self._number = number
        self._width = width
        self._colour = colour
        self._palette = get_colours()
        self._prefixes: dict[str, tuple[bytes, bytes]] = {}
        self._waiting: deque[memoryview] = deque()
        self._size = 0
        self._skipped = 0
        self._stuck: asyncio.TimerHandle | None = None
        self._skipping = False
        self.closed = False
        self.on_full: Callable[[], None] = lambda: None
        self.on_room: Callable[[], None] = lambda: None
        self._is_file = stat.S_ISREG(os.fstat(number).st_mode)  # always ready, and epoll knows no files

    def show(self, name: str, lines: bytes, mark: bytes = b"|") -> None:
        """Shows whole lines of the process `name`."""
        if self.closed:
            return
        if self._skipping:
            self._skipped += lines.count(b"\n")
            return
        prefix = self._prefix(name, mark)
        body = tame(lines)
        self._put(prefix + body[:-1].replace(b"\n", b"\n" + prefix) + b"\n")

    def note(self, name: str, text: str) -> None:
        """Shows what the supervisor itself has to say of a process."""
        self.show(name, text.encode("utf-8", "backslashreplace") + b"\n", b"*")

    def _prefix(self, name: str, mark: bytes) -> bytes:
        parts = self._prefixes.get(name)
        if parts is None:
            begin, end = (f"\x1b[0;{next(self._palette)}m".encode(), b"\x1b[0m") if self._colour else (b"", b"")
            self._width = max(self._width, len(name))
            parts = self._prefixes[name] = (begin, b" " + name.ljust(self._width).encode() + b" %s" + end + b" ")
        return parts[0] + time.strftime("%H:%M:%S").encode() + parts[1].replace(b"%s", mark, 1)

    def _put(self, data: bytes) -> None:
        self._waiting.append(memoryview(data))
        self._size += len(data)
        if len(self._waiting) == 1:
            self.writable()
        if self._size > FULL and self._stuck is None and not self.closed:
            self._stuck = self._loop.call_later(PATIENCE, self._give_up)
            self.on_full()

    def _give_up(self) -> None:
        self._skipping = True
        self.on_room()

    def writable(self) -> None:
        """The terminal takes more."""
        while self._waiting:
            if not self._ready():
                self._loop.add_writer(self._number, self.writable)
                return
            data = self._waiting[0]
            try:
                done = os.write(self._number, data if self._is_file else data[:_PIECE])
            except BlockingIOError:
                continue
            except OSError:
                self._close()
                return
            self._size -= done
            if done == len(data):
                self._waiting.popleft()
            else:
                self._waiting[0] = data[done:]
        self._caught_up()

    def _ready(self) -> bool:
        return self._is_file or bool(select.select([], [self._number], [], 0)[1])

    def _caught_up(self) -> None:
        if not self._is_file:
            self._loop.remove_writer(self._number)
        if self._stuck:
            self._stuck.cancel()
            self._stuck = None
            self._skipping = False
            self.on_room()
        if self._skipped:
            skipped, self._skipped = self._skipped, 0
            self.note("stores", f"{skipped} lines were not shown here; all of them: stores logs")

    def _close(self) -> None:
        self.closed = True
        self._waiting.clear()
        with contextlib.suppress(OSError, ValueError):
            self._loop.remove_writer(self._number)
        if self._stuck:
            self._stuck.cancel()
            self.on_room()

    def flush(self, patience: float) -> None:
        """Writes what waits, for at most `patience` seconds: the program is about to end."""
        deadline = time.monotonic() + patience
        while self._waiting and not self.closed and time.monotonic() < deadline:
            select.select([], [self._number], [], 0.05)
            self.writable()
