"""What stores has changed in this machine's system: written by root before each change, read by everybody."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from procman.system import files
from procman.system.change import Part

#: Root's, because `stores clean` runs what stands in it as root. Survives a reboot, as the changes do.
FILE = Path("/var/db/stores/system.json" if sys.platform == "darwin" else "/var/lib/stores/system.json")


@dataclass(frozen=True, slots=True)
class Applied:
    """A part that was done for `user` (or was begun, when root was interrupted), with what undoing it needs to know.

    `folders` were made for it, the innermost first; `no_newline` are files that ended without one.
    """

    part: Part
    user: str
    folders: tuple[str, ...] = ()
    no_newline: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {
            "part": self.part.to_json(),
            "user": self.user,
            "folders": list(self.folders),
            "no_newline": list(self.no_newline),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Applied:
        """From `to_json`'s result."""
        return cls(
            part=Part.from_json(value["part"]),
            user=str(value["user"]),
            folders=tuple(map(str, value["folders"])),
            no_newline=tuple(map(str, value["no_newline"])),
        )


def read(file: Path = FILE) -> dict[str, Applied]:
    """What is in force, by the part's name. Raises ``ValueError`` for a file that is not the record."""
    try:
        values = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    try:
        return {value["part"]["name"]: Applied.from_json(value) for value in values}
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file} is not what stores wrote: {error!r}") from error


def write(applied: dict[str, Applied], file: Path = FILE) -> None:
    """The whole record; an empty one is no file. Raises ``OSError``."""
    if applied:
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        text = json.dumps([one.to_json() for one in applied.values()], indent=1, ensure_ascii=False)
        files.replace(file, text, 0o644)
    elif file.exists():
        file.unlink()
        with contextlib.suppress(OSError):  # not empty: not ours alone
            file.parent.rmdir()
