"""Wakes another process: a FIFO, because it costs nothing while silent and has no limit on its path's length."""

from __future__ import annotations

import contextlib
import os
import select
from pathlib import Path


class Doorbell:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._ear: int | None = None
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)

    def ring(self) -> None:
        """Returns at once. Nobody listening is no error: who comes later looks for work first, then listens."""
        try:
            door = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # ENXIO: nobody listens; ENOENT: the data directory is gone
            return
        with contextlib.suppress(BlockingIOError):  # full: it has been ringing for a while
            os.write(door, b"\0")
        os.close(door)

    def listen(self) -> None:
        """Begin to listen; look for work after this and before `wait`, so that no ring falls between."""
        if self._ear is None:
            # Open for writing too: with no writer left, a FIFO would report its end for ever.
            self._ear = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)

    def wait(self, timeout: float) -> bool:
        """Whether it rang within `timeout` seconds. Several rings count as one."""
        self.listen()
        ready, _, _ = select.select([self._ear], [], [], timeout)
        if ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._ear, 65536)
        return bool(ready)
