"""A file that a person wrote, read without waiting: what stands at its path may be a pipe, a device or a giant."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

#: Bytes. No file that a person writes is longer; the supervisor, which reads it, does nothing else meanwhile.
LONGEST = 1024 * 1024


def read(path: Path) -> str:
    """Its text: no byte order mark, only newlines end lines. Raises ``OSError`` and ``UnicodeDecodeError``."""
    return read_bytes(path).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def read_bytes(path: Path) -> bytes:
    """What stands in it. Raises ``OSError``, also for what is no file, and for one of more than `LONGEST` bytes."""
    # looked at before, because to open some devices does something; and after, because it may be another one by then
    _refuse_what_is_no_file(path.stat().st_mode, path)
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(number, "rb") as file:
        _refuse_what_is_no_file(os.fstat(number).st_mode, path)
        data = file.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise OSError(errno.EFBIG, f"it is longer than {LONGEST // 1024} KB", str(path))
    return data


def _refuse_what_is_no_file(mode: int, path: Path) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device, which may never come to an end", str(path))
