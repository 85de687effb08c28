"""Changes of files, as macOS tells them (kqueue). The same verb as `watch_linux`; chosen by `watch`."""

# mypy: disable-error-code="attr-defined, unused-ignore"
# (kqueue is not in the select module of the system that mypy runs on, unless that is macOS)

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from collections.abc import Callable, Iterable
from pathlib import Path


def watch(loop: asyncio.AbstractEventLoop, folders: Iterable[Path], changed: Callable[[], None]) -> Callable[[], None]:
    """Calls `changed` after something in one of the folders did. Returns what ends the watch. Raises ``OSError``.

    A folder's event tells of files that come, go and are renamed; one that is written in place tells it itself, so the
    files are watched too, and anew after each event.
    """
    queue = select.kqueue()
    folders = tuple(folders)
    opened: dict[Path, int] = {}

    def look() -> None:
        wanted = {*folders, *(file for folder in folders for file in _files(folder))}
        for path in set(opened) - wanted:
            os.close(opened.pop(path))
        for path in wanted - set(opened):
            with contextlib.suppress(OSError):  # gone again
                number = os.open(path, os.O_EVTONLY | os.O_CLOEXEC)
                opened[path] = number
                fflags = select.KQ_NOTE_WRITE | select.KQ_NOTE_DELETE | select.KQ_NOTE_RENAME | select.KQ_NOTE_ATTRIB
                flags = select.KQ_EV_ADD | select.KQ_EV_CLEAR
                queue.control([select.kevent(number, select.KQ_FILTER_VNODE, flags, fflags)], 0)

    def readable() -> None:
        for event in queue.control(None, 64, 0):
            if event.fflags & (select.KQ_NOTE_DELETE | select.KQ_NOTE_RENAME):
                for path in [path for path, number in opened.items() if number == event.ident]:
                    os.close(opened.pop(path))  # an editor put another file in its place
        look()
        changed()

    def end() -> None:
        loop.remove_reader(queue.fileno())
        queue.close()
        for number in opened.values():
            os.close(number)
        opened.clear()

    look()
    loop.add_reader(queue.fileno(), readable)
    return end


def _files(folder: Path) -> Iterable[Path]:
    try:
        return [file for file in folder.iterdir() if file.is_file()]
    except OSError:  # removed: it may be put back, which the folder above it tells
        return ()
