"""A process's output: read from a FIFO in chunks, kept as it is, told on in whole lines.

A FIFO, not a pipe: the child holds it open for reading and writing, so it never gets SIGPIPE when the supervisor dies,
and the next supervisor opens the same one and goes on where the last one stopped (up to what the kernel buffers). Where
a process wants a terminal, its other side stands in for the FIFO.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from procman.control_sequences import plain
from procman.log import StoredLog
from procman.process.terminal import Terminal

#: Read at once. Larger chunks make a flood cheaper, and everybody else's line later.
CHUNK = 128 * 1024

#: How long the beginning of a line waits for its end before it is shown (a prompt has no newline), in seconds.
PARTIAL_AFTER = 0.2

#: A line longer than this is told in pieces.
LONGEST_LINE = 64 * 1024

#: What the kernel keeps while nobody reads (Linux; its default is 64 KiB, and so is macOS's, which cannot be changed).
FIFO_SIZE = 256 * 1024

#: How much of what was written before one listens is looked through, in bytes.
REMEMBERED = 256 * 1024

#: Hears whole lines, each with its newline. One that was cut (too long, or waited for) is given one.
Listener = Callable[[bytes], None]


class Output:
    """Reads while its process lives, and between its lives."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fifo: Path, log: StoredLog) -> None:
        self.listeners: set[Listener] = set()
        self.log = log
        self.terminal: Terminal | None = None
        self.on_problem: Callable[[str], None] = lambda _: None
        self.begun = 0
        self._loop = loop
        self._fifo = fifo
        self._read = -1
        self._reading = False
        self._partial = b""
        self._began = 0.0
        self._given_up = False
        self._timer: asyncio.TimerHandle | None = None
        self._problem = ""

    @property
    def told_to(self) -> int:
        """The position in the log up to which the listeners were told."""
        return self.log.position - len(self._partial)

    def written(self) -> bytes:
        """The end of what this life has written so far, which began at the position `begun` of the log."""
        return self.log.end(max(self.begun, self.log.position - REMEMBERED))

    def last_lines(self, number: int) -> list[str]:
        """The last lines that this life has written, as plain text: what tells of them is no terminal of its own."""
        return plain(self.written()[-number * 1024 :]).decode("utf-8", "replace").splitlines()[-number:]

    def open(self) -> int:
        """A descriptor for a child to write to; the caller closes it once the child has it. Starts reading."""
        self._leave_terminal()
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self._fifo, 0o600)
        number = os.open(self._fifo, os.O_RDWR | os.O_CLOEXEC)
        if self._read >= 0 and os.fstat(self._read).st_ino != os.fstat(number).st_ino:
            self._close_reading()  # the folder was emptied meanwhile (at a logout, say), and the FIFO is another one
        if self._read < 0:
            # for reading and writing: then it never ends, and children may come and go
            self._read = os.open(self._fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            with contextlib.suppress(OSError, AttributeError):
                fcntl.fcntl(self._read, fcntl.F_SETPIPE_SZ, FIFO_SIZE)
        self.resume()
        return number

    def open_terminal(self) -> int:
        """As `open`, with a terminal of its own for the child."""
        self._leave_terminal()
        self._close_reading()
        self.terminal = Terminal()
        self._read = self.terminal.number
        self.resume()
        return self.terminal.open()

    def take_terminal(self, number: int) -> None:
        """Goes on with the terminal that the process has, from the supervisor that this process was before."""
        self._close_reading()
        self.terminal = Terminal(number)
        self._read = number
        self.resume()

    def _leave_terminal(self) -> None:
        if self.terminal:
            self.drain()
            self.pause()
            self.terminal.close()
            self.terminal, self._read = None, -1

    def readable(self) -> None:
        """The process wrote something. One chunk, then it is the others' turn."""
        data = self._take()
        if data:
            self._hear(data)
        elif self.terminal and self.terminal.is_left:
            self.pause()  # else it would be told of that for ever

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
        self._keep(data)
        if self.terminal:
            self.terminal.show(data)
        if not self.listeners:
            self._partial = b""
            return
        if self._given_up:  # what was shown without its newline has been given one
            self._given_up = False
            data = data.removeprefix(b"\n")
        end = data.rfind(b"\n") + 1
        if end:
            self._tell(self._partial + data[:end])
            self._partial = b""
        if not self._partial:
            self._began = self._loop.time()
        self._partial += data[end:]
        if len(self._partial) >= LONGEST_LINE:
            self._give_up_waiting()
        elif self._partial and self._timer is None:
            self._timer = self._loop.call_later(PARTIAL_AFTER, self._waited)

    def _waited(self) -> None:
        """Nothing has come for a while; unless the rest of the line is there, and only was not read yet."""
        self._timer = None
        wait = self._began + PARTIAL_AFTER - self._loop.time()
        if not self._partial:
            return
        if wait > 0:  # this beginning of a line is a later one than that for which the timer was set
            self._timer = self._loop.call_later(wait, self._waited)
            return
        data = self._take() if self._reading else b""
        if data:
            self._hear(data)
        elif self._reading:
            self._give_up_waiting()
        else:
            self._timer = self._loop.call_later(PARTIAL_AFTER, self._waited)

    def _keep(self, data: bytes) -> None:
        self.log.append(data)
        if self.log.problem != self._problem:
            self._problem = self.log.problem
            self.on_problem(self._problem or "the log is kept again; what was written meanwhile is not in it")

    def _give_up_waiting(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        partial, self._partial = self._partial, b""
        if partial:
            self._given_up = True
            self._tell(partial + b"\n")

    def _tell(self, lines: bytes) -> None:
        for listener in tuple(self.listeners):
            listener(lines)

    def say(self, text: str) -> None:
        """A line of this tool's own among the process's lines, in its log and on whoever's screen shows it."""
        self._hear(b"%bstores: %b\n" % (b"\n" if self._partial else b"", text.encode("utf-8", "backslashreplace")))

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

    def _close_reading(self) -> None:
        self.drain()
        self.pause()
        if self._read >= 0 and not self.terminal:
            os.close(self._read)
        self._read = -1

    def close(self) -> None:
        """Ends it; the FIFO's file stays, for a process that still writes to it."""
        self._leave_terminal()
        self._close_reading()
        self.log.close()
