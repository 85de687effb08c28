"""A process's output: read from a FIFO in chunks, kept as it is, told on in whole lines.

A FIFO, not a pipe: the child holds it open for reading and writing, so it never gets SIGPIPE when the supervisor dies,
and the next supervisor opens the same one and goes on where the last one stopped (up to what the kernel buffers).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from procman.log import StoredLog

#: Read at once. Larger chunks make a flood cheaper, and everybody else's line later.
CHUNK = 128 * 1024

#: How long the beginning of a line waits for its end before it is shown (a prompt has no newline), in seconds.
PARTIAL_AFTER = 0.2

#: A line longer than this is told in pieces.
LONGEST_LINE = 64 * 1024

#: What the kernel keeps while nobody reads (Linux; its default is 64 KiB, and so is macOS's, which cannot be changed).
FIFO_SIZE = 256 * 1024

#: Hears whole lines, each with its newline. One that was cut (too long, or waited for) is given one.
Listener = Callable[[bytes], None]


class Output:
    """Reads while its process lives, and between its lives."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fifo: Path, log: StoredLog) -> None:
        self.listeners: set[Listener] = set()
        self.log = log
        self._loop = loop
        self._fifo = fifo
        self._read = -1
        self._reading = False
        self._partial = b""
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> int:
        """A descriptor for a child to write to; the caller closes it once the child has it. Starts reading."""
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self._fifo, 0o600)
        if self._read < 0:
            # for reading and writing: then it never ends, and children may come and go
            self._read = os.open(self._fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            with contextlib.suppress(OSError, AttributeError):
                fcntl.fcntl(self._read, fcntl.F_SETPIPE_SZ, FIFO_SIZE)
        self.resume()
        return os.open(self._fifo, os.O_RDWR | os.O_CLOEXEC)

    def readable(self) -> None:
        """The process wrote something. One chunk, then it is the others' turn."""
        data = self._take()
        if data:
            self._hear(data)

    def _take(self) -> bytes:
        try:
            return os.read(self._read, CHUNK)
        except OSError:
            return b""

    def drain(self) -> None:
        """The process has ended: tells what is left, a last line without newline included."""
        while self._read >= 0 and (data := self._take()):
            self._hear(data)
        self._give_up_waiting()

    def _hear(self, data: bytes) -> None:
        self.log.append(data)
        if not self.listeners:
            self._partial = b""
            return
        end = data.rfind(b"\n") + 1
        if end:
            self._tell(self._partial + data[:end])
            self._partial = data[end:]
        else:
            self._partial += data
        if len(self._partial) >= LONGEST_LINE:
            self._give_up_waiting()
        elif self._partial and self._timer is None:
            self._timer = self._loop.call_later(PARTIAL_AFTER, self._give_up_waiting)

    def _give_up_waiting(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        partial, self._partial = self._partial, b""
        if partial:
            self._tell(partial + b"\n")

    def _tell(self, lines: bytes) -> None:
        for listener in tuple(self.listeners):
            listener(lines)

    def pause(self) -> None:
        """Stops reading: whoever shows the output is behind. The process waits when the FIFO is full."""
        if self._reading:
            self._loop.remove_reader(self._read)
            self._reading = False

    def resume(self) -> None:
        """Reads on."""
        if self._read >= 0 and not self._reading:
            self._loop.add_reader(self._read, self.readable)
            self._reading = True

    def close(self) -> None:
        """Ends it; the FIFO's file stays, for a process that still writes to it."""
        self.drain()
        self.pause()
        if self._read >= 0:
            os.close(self._read)
            self._read = -1
        self.log.close()
