"""What a process wrote, kept byte for byte, with the time of each piece in an index beside it.

``<name>.log`` is exactly the output. ``<name>.idx`` has one record a piece that was read: when, and at which position.
So nothing is put between a program's bytes, and logs of several processes can still be merged by time. Positions count
from the first byte that the process ever wrote, over all files that were rotated away.
"""

from __future__ import annotations

import bisect
import contextlib
import heapq
import os
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

#: One file's size in bytes, and how many full ones are kept: ``<name>.log.1`` is the newest of them.
ROTATE_AT = 16 * 1024 * 1024
KEPT = 8

_RECORD = struct.Struct("<dQ")
_STEP = 256 * 1024


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
            os.write(self._index, _RECORD.pack(time.time(), self._base + self._size))
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
            first = os.pread(self._index, _RECORD.size, 0)
            size = os.fstat(self._log).st_size
            if len(first) == _RECORD.size and size:
                self._base = _RECORD.unpack(first)[1]
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


# Reading


@dataclass(frozen=True, slots=True)
class _File:
    """One file of a log, opened, so that a rotation meanwhile changes nothing; `marks`: times and positions."""

    number: int
    base: int
    size: int
    times: list[float]
    positions: list[int]

    def at(self, position: int) -> float:
        """When the byte at `position` was written."""
        return self.times[max(0, bisect.bisect_right(self.positions, position) - 1)] if self.times else 0.0


def tail(
    folder: Path,
    names: Iterable[str],
    *,
    n: int | None = None,
    since: float = 0.0,
    until: Mapping[str, int] | None = None,
) -> Iterator[Line]:
    """The last `n` lines (None: all) of the named processes from `since` on (epoch seconds), merged by time.

    `n` counts the lines of each process before they are merged, as ``docker compose logs --tail`` does. `until`: the
    positions before which to end, for whoever gets the rest in another way. Nothing is read that is not asked for.
    """
    each = [_of_one(folder / f"{name}.log", name, n, since, (until or {}).get(name)) for name in names]
    return heapq.merge(*each, key=lambda line: line.at)


def _of_one(path: Path, name: str, n: int | None, since: float, until: int | None) -> Iterator[Line]:
    files = _files(path)
    try:
        end = min(files[-1].base + files[-1].size, until if until is not None else 1 << 62) if files else 0
        begin = _begin(files, n, since, end)
        for at, text in _lines(files, begin, end):
            if at >= since:
                yield Line(at, name, text)
    finally:
        for file in files:
            os.close(file.number)


def _files(path: Path) -> list[_File]:
    """The files of one log, the oldest first."""
    found: list[_File] = []
    names = [f"{path.name}.{number}" for number in range(KEPT, 0, -1)] + [path.name]
    for name in names:
        try:
            number = os.open(path.with_name(name), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        index = path.with_name(_index_name(name))
        data = index.read_bytes() if index.exists() else b""
        marks = list(_RECORD.iter_unpack(data[: len(data) // _RECORD.size * _RECORD.size]))
        base = marks[0][1] if marks else (found[-1].base + found[-1].size if found else 0)
        size = os.fstat(number).st_size
        if not found or base > found[-1].base:  # else it was rotated while this looked, and is here already
            found.append(_File(number, base, size, [at for at, _ in marks], [position for _, position in marks]))
        else:
            os.close(number)
    return found


def _index_name(name: str) -> str:
    head, _, rest = name.rpartition(".log")
    return f"{head}.idx{rest}"


def _begin(files: list[_File], n: int | None, since: float, end: int) -> int:
    """The position from which to read: a line's beginning, or the one of the oldest byte that is kept."""
    if not files:
        return 0
    first = files[0].base
    for file in files:  # one piece before the first that is new enough, for a line that began in it
        if not file.times:  # without its index, nobody knows: it counts as new enough
            first = max(first, file.base)
            break
        index = bisect.bisect_left(file.times, since)
        if index < len(file.times):
            first = file.positions[max(0, index - 1)] if index else first
            break
        first = file.base
    if n is None:
        return _line_begin(files, first)
    missing, position = n + 1, end
    for file in reversed(files):
        position = min(position, file.base + file.size)
        while position > max(first, file.base):
            step = min(_STEP, position - max(first, file.base))
            data = os.pread(file.number, step, position - step - file.base)
            if position == end:
                missing -= not data.endswith(b"\n")  # a last line without its newline counts, too
            found = data.count(b"\n")
            if found >= missing:
                return position - step + _after_newline(data, missing)
            missing -= found
            position -= step
    return _line_begin(files, max(first, position))


def _after_newline(data: bytes, number: int) -> int:
    """The offset after the `number`-th newline from the end."""
    at = len(data)
    for _ in range(number):
        at = data.rindex(b"\n", 0, at)
    return at + 1


def _line_begin(files: list[_File], position: int) -> int:
    """The beginning of the first whole line from `position` on, which may stand in the middle of one."""
    if position == files[0].base:
        return position
    for file in files:
        at = position - 1
        while file.base <= at < file.base + file.size:
            data = os.pread(file.number, _STEP, at - file.base)
            if b"\n" in data:
                return at + data.index(b"\n") + 1
            at += len(data)
            position = at + 1
    return position


def _lines(files: list[_File], begin: int, end: int) -> Iterator[tuple[float, bytes]]:
    """The lines between two positions, each with its time. One may begin in one file and end in the next."""
    rest, since = b"", 0.0
    for file in files:
        at = max(begin, file.base)
        while at < min(end, file.base + file.size):
            data = os.pread(file.number, min(_STEP, min(end, file.base + file.size) - at), at - file.base)
            if not data:
                break
            *lines, last = data.split(b"\n")
            for text in lines:
                yield since if rest else file.at(at), rest + text
                at += len(text) + 1
                rest = b""
            if last and not rest:
                since = file.at(at)
            rest += last
            at += len(last)
    if rest:
        yield since, rest
