"""What runs and what shall run, written down so that the next supervisor can go on where a killed one stopped."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from procman import private_file
from procman.machine import proc


@dataclass(frozen=True, slots=True)
class Tag:
    """What every process carries in its environment: whose it is, what it was started as, and in which life.

    The ledger may be lost (a full disk, a kill between the start and the note); the tag alone still tells all of this.
    """

    run: str
    name: str
    definition: str
    life: str

    def __str__(self) -> str:
        return f"{self.run}/{self.name}/{self.definition}/{self.life}"

    @classmethod
    def parse(cls, text: str) -> Tag | None:
        """The tag in a text, None where it is none."""
        parts = text.split("/")
        return cls(*parts) if len(parts) == 4 and all(parts) else None  # noqa: PLR2004 (as many as it has fields)


@dataclass(frozen=True, slots=True)
class Entry:
    """One process that was started: enough to know it again, and to tell it from a stranger with its PID.

    `position`: where in its log this life begins.
    """

    pid: int
    start: int
    tag: str
    definition: str
    since: float
    restarts: int
    position: int = 0
    ready: bool = False
    terminal: bool = False


@dataclass(frozen=True, slots=True)
class Rest:
    """A process that will do nothing by itself any more, and why."""

    state: str
    exit: str
    exit_code: int | None
    problem: str


class Ledger:
    """One JSON file. Written whole and renamed into place: a reader never sees half of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._boot = proc.boot_id()
        self.entries: dict[str, Entry] = {}
        self.rests: dict[str, Rest] = {}
        self.wanted: set[str] = set()
        self.facts: dict[str, int] = {}
        #: What was wanted when the machine or the login ended under it: what `stores autostart` brings back.
        self.before: set[str] = set()
        # as long as the workspace and its state folder stay: so tags are known again even without the file
        self.run_id = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
        self._read()

    def _read(self) -> None:
        """A ledger of an earlier boot means nothing: its PIDs are strangers' now. A broken file is an empty one."""
        try:
            value = json.loads(self._path.read_bytes())
            ended_by_force = value["boot"] != self._boot
            self.before = {*map(str, value.get("before", ())), *map(str, value["wanted"] if ended_by_force else ())}
            if value["boot"] == self._boot:
                entries = {name: Entry(**entry) for name, entry in value["processes"].items()}
                rests = {name: Rest(**rest) for name, rest in value["rests"].items()}
                wanted, facts = set(map(str, value["wanted"])), {str(k): int(v) for k, v in value["facts"].items()}
                self.entries, self.rests, self.wanted, self.facts = entries, rests, wanted, facts
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return

    def tag(self, name: str, definition: str) -> Tag:
        """The tag for a new life of `name`."""
        return Tag(self.run_id, name, definition, secrets.token_hex(4))

    def alive(self, name: str) -> Entry | None:
        """The entry of `name` whose process still lives, told from a stranger by its start."""
        entry = self.entries.get(name)
        if entry:
            seen = proc.look(entry.pid)
            if seen and seen.start == entry.start:
                return entry
        return None

    def started(self, name: str, entry: Entry) -> None:
        """A process was started."""
        self.entries[name] = entry
        self.write()

    def became_ready(self, name: str) -> None:
        """It answered: the next supervisor need not wait for a line of output that will not come again."""
        entry = self.entries.get(name)
        if entry and not entry.ready:
            self.entries[name] = replace(entry, ready=True)
            self.write()

    def ended(self, name: str) -> None:
        """A process and all that came of it are gone."""
        if self.entries.pop(name, None):
            self.write()

    def want(self, name: str, *, wanted: bool) -> None:
        """Somebody wants it to run, or no longer."""
        if wanted != (name in self.wanted) or name in self.rests:
            (self.wanted.add if wanted else self.wanted.discard)(name)
            self.rests.pop(name, None)
            self.write()

    def rested(self, name: str, rest: Rest) -> None:
        """It will do nothing more by itself."""
        self.rests[name] = rest
        self.write()

    def remember(self) -> None:
        """The login ends: what is wanted now is what was wanted before."""
        self.before = set(self.wanted)
        self.write()

    def take_before(self) -> set[str]:
        """What was wanted before, once: from here on it is wanted, or it is not."""
        before, self.before = self.before, set()
        return before

    def write(self) -> None:
        """Writes the file. A full disk is survived: the tags in the environment find the processes, too."""
        value = {
            "boot": self._boot,
            "processes": {name: asdict(entry) for name, entry in self.entries.items()},
            "wanted": sorted(self.wanted),
            "rests": {name: asdict(rest) for name, rest in self.rests.items()},
            "facts": self.facts,
            "before": sorted(self.before),
        }
        with contextlib.suppress(OSError):
            private_file.write(self._path, json.dumps(value))
