"""What runs, written down so that the next supervisor can adopt it: who was started, as which PID, with which tag."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from procman import proc


@dataclass(frozen=True, slots=True)
class Entry:
    """One process that was started: enough to know it again, and to tell it from a stranger with its PID."""

    pid: int
    start: int
    tag: str
    definition: str
    since: float
    restarts: int


class Ledger:
    """One JSON file. Written whole and renamed into place: a reader never sees half of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._boot = proc.boot_id()
        self.entries: dict[str, Entry] = {}
        self.run_id = secrets.token_hex(6)
        self._read()

    def _read(self) -> None:
        """An entry of an earlier boot means nothing: its PIDs are strangers' now. A broken file is an empty one."""
        try:
            value = json.loads(self._path.read_bytes())
            if value["boot"] == self._boot:
                entries = {name: Entry(**entry) for name, entry in value["processes"].items()}
                self.run_id, self.entries = str(value["run"]), entries
        except (OSError, ValueError, KeyError, TypeError):
            return

    def alive(self, name: str) -> Entry | None:
        """The entry of `name` whose process still lives, told from a stranger by its start."""
        entry = self.entries.get(name)
        if entry:
            seen = proc.look(entry.pid)
            if seen and seen.start == entry.start:
                return entry
        return None

    def note(self, name: str, entry: Entry) -> None:
        """A process was started."""
        self.entries[name] = entry
        self.write()

    def strike(self, name: str) -> None:
        """A process and all that came of it are gone."""
        if self.entries.pop(name, None):
            self.write()

    def write(self) -> None:
        """Writes the file. A full disk is survived: the tags in the environment find the processes, too."""
        value = {
            "boot": self._boot,
            "run": self.run_id,
            "processes": {name: asdict(entry) for name, entry in self.entries.items()},
        }
        draft = self._path.with_suffix(".new")
        try:
            number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(number, "wb") as file:
                file.write(json.dumps(value).encode())
            draft.replace(self._path)
        except OSError:
            draft.unlink(missing_ok=True)
