"""What a process wrote, kept byte for byte, with the time of each piece in an index beside it.

``<name>.log`` is exactly the output. ``<name>.idx`` has one record a piece that was read: when, and at which offset. So
nothing is put between a program's bytes, and logs of several processes can still be merged by time.
"""

from __future__ import annotations

import bisect
import contextlib
import heapq
import os
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

#: One file's size, in bytes; the one before is kept as ``<name>.log.1``.
ROTATE_AT = 16 * 1024 * 1024

_RECORD = struct.Struct("<dQ")


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One line of a process, without its newline; `at` in seconds since the epoch."""

    at: float
    name: str
    text: bytes


class StoredLog:
    """Appends to one process's log. A full disk loses log lines, never the process."""

    def __init__(self, folder: Path, name: str, rotate_at: int = ROTATE_AT) -> None:
        self.name = name
        self.path = folder / f"{name}.log"
        self.problem = ""
        self._rotate_at = rotate_at
        self._log = self._index = -1
        self._size = 0

    def append(self, data: bytes) -> None:
        """Keeps `data`. Sets `problem` where that fails; the next append tries again."""
        try:
            if self._log < 0:
                self._open()
            os.write(self._index, _RECORD.pack(time.time(), self._size))
            self._size += _write_all(self._log, data)
            self.problem = ""
        except OSError as error:
            self.problem = f"the log is not kept: {error.strerror}"
            self.close()
        if self._size >= self._rotate_at:
            self._rotate()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._log = os.open(self.path, flags, 0o600)
        self._index = os.open(self.path.with_suffix(".idx"), flags, 0o600)
        self._size = os.fstat(self._log).st_size

    def _rotate(self) -> None:
        self.close()
        for path in (self.path, self.path.with_suffix(".idx")):
            with contextlib.suppress(OSError):
                path.replace(f"{path}.1")

    def close(self) -> None:
        """Closes the files; the next append opens them again."""
        for number in (self._log, self._index):
            if number >= 0:
                os.close(number)
        self._log = self._index = -1
        self._size = 0


def _write_all(number: int, data: bytes) -> int:
    view = memoryview(data)
    while view:
        view = view[os.write(number, view) :]
    return len(data)


def tail(folder: Path, names: Iterable[str], *, n: int | None = None, since: float = 0.0) -> list[Line]:
    """The last `n` lines (None: all) of the named processes from `since` on (epoch seconds), merged by time.

    `n` counts the lines of each process before they are merged, as ``docker compose logs --tail`` does.
    """
    each = [_last(folder / f"{name}.log", name, n, since) for name in names]
    return list(heapq.merge(*each, key=lambda line: line.at))


def _last(path: Path, name: str, n: int | None, since: float) -> list[Line]:
    lines: list[Line] = []
    for part in (path, path.with_name(f"{path.name}.1")):
        want = None if n is None else n - len(lines)
        if want is not None and want <= 0:
            break
        lines = [*_lines(part, name, want, since), *lines]
    return lines


def _lines(path: Path, name: str, n: int | None, since: float) -> list[Line]:
    """The last lines of one file. Reads from the end, in steps that double, until there are enough."""
    index = path.with_name(path.name.replace(".log", ".idx"))
    try:
        marks = list(_RECORD.iter_unpack(_whole_records(index.read_bytes())))
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            first = _offset_since(marks, since)
            step = end - first if n is None else min(end - first, 256 * (n + 1))
            while True:
                begin = end - step
                file.seek(begin)
                data = file.read(step)
                if n is None or begin <= first or data.count(b"\n") > n:
                    break
                step = min(end - first, step * 2)
    except OSError:
        return []
    offsets = [offset for _, offset in marks]
    lines = []
    for offset, text in _split(data, begin, whole=begin == 0):
        at = marks[max(0, bisect.bisect_right(offsets, offset) - 1)][0] if marks else 0.0
        if at >= since:
            lines.append(Line(at, name, text))
    return lines if n is None else lines[len(lines) - min(n, len(lines)) :]


def _whole_records(data: bytes) -> bytes:
    return data[: len(data) // _RECORD.size * _RECORD.size]


def _offset_since(marks: Sequence[tuple[float, int]], since: float) -> int:
    """Where to begin reading: one piece before the first that is new enough, for a line that began in it."""
    position = bisect.bisect_left([at for at, _ in marks], since)
    return marks[position - 1][1] if position > 1 else 0


def _split(data: bytes, begin: int, *, whole: bool) -> Iterator[tuple[int, bytes]]:
    """The lines in `data` with their offsets in the file; a first line that may be cut is left out."""
    offset = begin
    for number, text in enumerate(data.splitlines(keepends=True) if b"\r" not in data else _by_newline(data)):
        if number or whole:
            yield offset, text.removesuffix(b"\n")
        offset += len(text)


def _by_newline(data: bytes) -> list[bytes]:
    """``splitlines`` also splits at a carriage return, which progress bars write within a line."""
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])
