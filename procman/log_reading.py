"""Reads what `log` keeps: the last lines of several processes by time, or page by page from the end backwards."""

from __future__ import annotations

import bisect
import heapq
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from procman.log import KEPT, RECORD

_STEP = 256 * 1024
#: Bytes of a line, past which the rest counts as another line.
_LONGEST = 1024 * 1024
#: What one page looks through: bytes, at about, and what a line counts beside its own. It is a tenth of a second.
_LOOKED_AT, _A_LINE = 4 * 1024 * 1024, 64


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One line of a process, without its newline; `at` in seconds since the epoch."""

    at: float
    name: str
    text: bytes


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
        _close(files)


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
        marks = list(RECORD.iter_unpack(data[: len(data) // RECORD.size * RECORD.size]))
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


# Backwards


@dataclass(frozen=True, slots=True)
class Page:
    """The oldest line first. `before`: where to go on, a position for each process; None: nothing stands before it."""

    lines: list[Line]
    before: Mapping[str, int] | None


def page(
    folder: Path,
    before: Mapping[str, int | None],
    n: int,
    matches: Callable[[bytes], bool] = lambda _: True,
) -> Page:
    """The last `n` matching lines that stand before a position of each process (None: its end), merged by time.

    It ends early, with what it has, after some megabytes: whoever searches asks again with the new positions.
    """
    found: list[Line] = []
    at: dict[str, int] = {}
    each = []
    looked = 0
    with ExitStack() as stack:
        for name, position in before.items():
            files = _files(folder / f"{name}.log")
            stack.callback(_close, files)
            last = files[-1].base + files[-1].size if files else 0
            at[name] = last if position is None else min(position, last)
            each.append(_backwards(name, files, at[name]))
        for line, position in heapq.merge(*each, key=lambda pair: pair[0].at, reverse=True):
            if len(found) == n or looked > _LOOKED_AT:
                return Page(found[::-1], at)
            at[line.name] = position
            looked += len(line.text) + _A_LINE
            if matches(line.text):
                found.append(line)
    return Page(found[::-1], None)


def _close(files: Iterable[_File]) -> None:
    for file in files:
        os.close(file.number)


def _backwards(name: str, files: list[_File], end: int) -> Iterator[tuple[Line, int]]:
    """The lines before a position, the newest first, each with where it begins.

    `rest`: the beginning of a line whose own beginning has not been read; `at`: where it ends. `fresh`: what ends there
    is no line yet.
    """
    rest, at, fresh = b"", end, True
    for file in reversed(files):
        at = min(at, file.base + file.size + len(rest))
        while (top := at - len(rest)) > file.base:
            step = min(_STEP, top - file.base)
            rest, *lines = (os.pread(file.number, step, top - step - file.base) + rest).split(b"\n")
            if fresh and lines and not lines[-1]:
                lines.pop()  # the end of the last line, and no line after it
                at -= 1
            fresh = False
            for text in reversed(lines):
                at -= len(text)
                yield Line(file.at(at), name, text), at
                at -= 1
            if len(rest) > _LONGEST:
                at -= len(rest)
                yield Line(file.at(at), name, rest), at
                rest, fresh = b"", True
    if not fresh:
        yield Line(files[0].at(files[0].base), name, rest), at - len(rest)
