"""A terminal for a process: its one side is the child's, the other one is read, written to and sized from here.

It lives as long as this process does, whatever code that runs (`house.become_the_next_one`): when it is killed, the
kernel hangs up, and the program ends as it does when a terminal window is closed. (A FIFO survives, a terminal cannot:
nothing but its holder keeps it.)
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios
from collections import deque
from collections.abc import Callable

#: What was written last, shown to whoever attaches: the prompt, and what led to it. Bytes.
REMEMBERED = 4096

#: The size until somebody attaches: rows, columns.
SIZE = (24, 80)

Viewer = Callable[[bytes], None]


class Terminal:
    """A pseudo-terminal. `number` is the descriptor of this side."""

    def __init__(self, number: int | None = None) -> None:
        """A new one; or the one that `number` is this side of, which a process has already."""
        self.path, self._child = "", -1
        if number is None:
            number, self._child = os.openpty()
            self.path = os.ttyname(self._child)
        os.set_blocking(number, False)
        self.number = number
        self.viewers: set[Viewer] = set()
        self._last: deque[bytes] = deque()
        self._size = 0
        if self.path:
            self.resize(*SIZE)

    def open(self) -> int:
        """The child's side; the caller closes it once the child has it.

        It was held until then: a terminal that nobody ever opened would be hung up.
        """
        child, self._child = self._child, -1
        return child

    @property
    def is_left(self) -> bool:
        """Whether no process holds the other side any more."""
        poll = select.poll()
        poll.register(self.number, 0)
        return any(events & select.POLLHUP for _, events in poll.poll(0))

    @property
    def last(self) -> bytes:
        """What was written last."""
        return b"".join(self._last)[-REMEMBERED:]

    def show(self, data: bytes) -> None:
        """The process wrote something."""
        self._last.append(data[-REMEMBERED:])
        self._size += len(self._last[-1])
        while self._size - len(self._last[0]) >= REMEMBERED:
            self._size -= len(self._last.popleft())
        for view in tuple(self.viewers):
            view(data)

    def type(self, keys: bytes) -> None:
        """Somebody types. What the program does not take in is dropped, as by any terminal."""
        try:
            os.write(self.number, keys)
        except OSError:
            return

    def resize(self, rows: int, columns: int) -> None:
        """The window is as large as this; the program gets SIGWINCH."""
        try:
            fcntl.ioctl(self.number, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        except OSError:
            return

    def close(self) -> None:
        """Hangs up."""
        os.close(self.number)
        if self._child >= 0:
            os.close(self._child)
            self._child = -1
