"""What a process wrote, kept byte for byte, with the time of each piece in an index beside it.

``<name>.log`` is exactly the output. ``<name>.idx`` has one record a piece that was read: when, and at which position.
So nothing is put between a program's bytes, and logs of several processes can still be merged by time. Positions count
from the first byte that the process ever wrote, over all files that were rotated away. `log_reading` reads it.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from pathlib import Path

#: One file's size in bytes, and how many full ones are kept: ``<name>.log.1`` is the newest of them.
ROTATE_AT = 16 * 1024 * 1024
KEPT = 8

#: Of the index: seconds since the epoch, position.
RECORD = struct.Struct("<dQ")


class StoredLog:
    """Appends to one process's log. A full disk loses log lines, never the process."""

    def __init__(self, folder: Path, name: str, rotate_at: int = ROTATE_AT) -> None:
        self.name = name
        self.path = folder / f"{name}.log"
        self.problem = ""
        self._rotate_at = rotate_at
        self._log = self._index = -1
        self._base = self._size = 0

    @property
    def position(self) -> int:
        """Where the next byte will stand."""
        if self._log < 0:
            with contextlib.suppress(OSError):
                self._open()
        return self._base + self._size

    def append(self, data: bytes) -> None:
        """Keeps `data`. Sets `problem` where that fails; the next append tries again."""
        try:
            if self._log < 0:
                self._open()
            os.write(self._index, RECORD.pack(time.time(), self._base + self._size))
            view = memoryview(data)
            while view:
                done = os.write(self._log, view)
                self._size += done
                view = view[done:]
            self.problem = ""
        except OSError as error:
            self.problem = f"the log is not kept: {error.strerror}"
            self.close()
        if self._size >= self._rotate_at:
            self._rotate()

    def end(self, position: int) -> bytes:
        """What stands from `position` on, as far as it is in the newest file."""
        if self.position <= position or self._log < 0:
            return b""
        offset = max(0, position - self._base)
        return os.pread(self._log, self._size - offset, offset)

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._log = os.open(self.path, flags, 0o600)
        try:
            self._index = os.open(self.path.with_suffix(".idx"), flags, 0o600)
            first = os.pread(self._index, RECORD.size, 0)
            size = os.fstat(self._log).st_size
            if len(first) == RECORD.size and size:
                self._base = RECORD.unpack(first)[1]
            self._size = size
        except OSError:
            self.close()
            raise

    def _rotate(self) -> None:
        base = self._base + self._size
        self.close()
        for path in (self.path, self.path.with_suffix(".idx")):
            for number in range(KEPT, 0, -1):
                older = path if number == 1 else path.with_name(f"{path.name}.{number - 1}")
                with contextlib.suppress(OSError):
                    older.replace(f"{path}.{number}")
        self._base = base

    def close(self) -> None:
        """Closes the files; the next append opens them again."""
        for number in (self._log, self._index):
            if number >= 0:
                os.close(number)
        self._log = self._index = -1
        self._size = 0
