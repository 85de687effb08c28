"""Changes of files, as Linux tells them (inotify). The same verb as `watch_macos`; chosen by `watch`."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable, Iterable
from pathlib import Path

# linux/inotify.h. A file that is written in place is told when it is closed, one that is renamed into place at once.
_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE, _ATTRIB = 0x08, 0x40, 0x80, 0x100, 0x200, 0x04
_MASK = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _ATTRIB
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC  # IN_NONBLOCK and IN_CLOEXEC have the same values


def watch(loop: asyncio.AbstractEventLoop, folders: Iterable[Path], changed: Callable[[], None]) -> Callable[[], None]:
    """Calls `changed` after something in one of the folders did. Returns what ends the watch. Raises ``OSError``."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = libc.inotify_init1(_FLAGS)
    if number < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    named = [os.fsencode(folder) for folder in folders]
    for folder in named:
        if libc.inotify_add_watch(number, folder, _MASK) < 0:
            os.close(number)
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), os.fsdecode(folder))

    def readable() -> None:
        try:
            os.read(number, 65536)  # which file it was does not matter: all are small, and read again
        except BlockingIOError:
            return
        for (
            folder
        ) in named:  # one of them may be another folder by now (another branch was checked out); else: no effect
            libc.inotify_add_watch(number, folder, _MASK)
        changed()

    def end() -> None:
        loop.remove_reader(number)
        os.close(number)

    loop.add_reader(number, readable)
    return end
