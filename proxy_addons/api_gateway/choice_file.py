"""Reads what ``stores as`` and ``stores auth simulate`` chose: a stat a request, and the file where it is a new one."""

from __future__ import annotations

from pathlib import Path

from procman.authorizer_choice import Choice


class ChoiceFile:
    """The newest choice."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._choice = Choice()

    def read(self) -> Choice:
        """What is chosen now. Raises ``ValueError`` where the file is damaged, ``OSError`` where it cannot be read."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._choice = None, Choice()
            return self._choice
        stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        if stamp != self._stamp:
            self._choice = Choice.load(self._path)
            self._stamp = stamp
        return self._choice
