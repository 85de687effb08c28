"""What is shown while something takes long: lines on stderr, and on a terminal the newest word of each that works."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from types import TracebackType
from typing import Self

#: A terminal is redrawn no more often than this, in seconds.
_PAUSE = 0.05


class Progress:
    """Lines that stay (`say`), and below them one line for each name, which changes (`show`). Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown: dict[str, str] = {}
        self._drawn = 0
        self._drew = 0.0
        self._live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.clear()

    def say(self, name: str, text: str) -> None:
        """A line that stays."""
        with self._lock:
            self._wipe()
            self._shown.pop(name, None)
            sys.stderr.write(f"{name}: {text}\n")
            self._draw()
            sys.stderr.flush()

    def show(self, name: str, text: str) -> None:
        """The newest word of `name`; only where somebody looks on."""
        with self._lock:
            self._shown[name] = text
            if self._live and time.monotonic() - self._drew > _PAUSE:
                self._wipe()
                self._draw()
                sys.stderr.flush()

    def clear(self) -> None:
        """Takes back what changes."""
        with self._lock:
            self._wipe()
            self._shown.clear()
            sys.stderr.flush()

    def _wipe(self) -> None:
        if self._drawn:
            sys.stderr.write(f"\x1b[{self._drawn}A\x1b[J")
            self._drawn = 0

    def _draw(self) -> None:
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            for name, text in self._shown.items():
                line = "".join(character for character in f"  {name}: {text}" if character.isprintable())
                sys.stderr.write(line[:width] + "\n")
            self._drawn = len(self._shown)
            self._drew = time.monotonic()
