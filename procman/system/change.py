"""What is to be changed in the system, as plain data: shown to a person first, then done by root, then undone."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: The first line of each file of ours whose format knows comments. One that lacks it is somebody else's.
HEADER = "Made by stores. Undo: stores clean"


@dataclass(frozen=True, slots=True)
class Put:
    """A file that is ours alone, whole. One of the same name that is not ours is left alone, and is an error."""

    path: str
    text: str
    mode: int = 0o644

    def __str__(self) -> str:
        return f"write {self.path}"


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of ours in somebody else's file, between two comment lines that name `key`."""

    path: str
    key: str
    text: str

    @property
    def begin(self) -> str:
        """The marker before them."""
        return f"# >>> stores {self.key} ({HEADER})\n"

    @property
    def end(self) -> str:
        """The marker after them."""
        return f"# <<< stores {self.key}\n"

    def __str__(self) -> str:
        return f"add lines to {self.path}"


@dataclass(frozen=True, slots=True)
class Run:
    """A command, without a shell. `may_fail`: what it ends may not be there any more, which is what is wanted."""

    argv: tuple[str, ...]
    may_fail: bool = False

    @property
    def shown(self) -> str:
        """In one line, and not all of a script."""
        return textwrap.shorten(shlex.join(self.argv), 90, placeholder=" …")

    def __str__(self) -> str:
        return f"run {shlex.join(self.argv)}"


@dataclass(frozen=True, slots=True)
class Part:
    """Files and commands that make sense together only: all of it is done, or none.

    `before_undo` runs while the files are still there, `after_undo` once they are gone. `what` says what
    is so then, for people; `missing` how one does without it.
    """

    name: str
    what: str
    missing: str
    files: tuple[Put | Block, ...] = ()
    after: tuple[Run, ...] = ()
    before_undo: tuple[Run, ...] = ()
    after_undo: tuple[Run, ...] = ()

    def lines(self) -> list[str]:
        """Every single change, in order, with the text of each file that a person can read."""
        told: list[str] = []
        for file in self.files:
            told.append(str(file))
            text = "(a certificate)" if file.text.startswith("-----BEGIN") else file.text
            told += [f"    {line}" for line in text.splitlines()]
        return told + [str(run) for run in self.after]

    def to_json(self) -> dict[str, Any]:
        """As it travels to root, and as root writes it down."""
        return {
            "name": self.name,
            "what": self.what,
            "missing": self.missing,
            "files": [_file_json(file) for file in self.files],
            **{key: [_run_json(run) for run in getattr(self, key)] for key in _RUNS},
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Part:
        """From `to_json`'s result. Raises ``KeyError``, ``TypeError`` or ``ValueError`` for anything else."""
        return cls(
            name=str(value["name"]),
            what=str(value["what"]),
            missing=str(value["missing"]),
            files=tuple(map(_file, value["files"])),
            after=_runs(value["after"]),
            before_undo=_runs(value["before_undo"]),
            after_undo=_runs(value["after_undo"]),
        )


_RUNS = ("after", "before_undo", "after_undo")


def _file_json(file: Put | Block) -> dict[str, Any]:
    if isinstance(file, Put):
        return {"put": file.path, "text": file.text, "mode": file.mode}
    return {"block": file.path, "key": file.key, "text": file.text}


def _file(value: dict[str, Any]) -> Put | Block:
    if "put" in value:
        return Put(str(value["put"]), str(value["text"]), int(value["mode"]))
    return Block(str(value["block"]), str(value["key"]), str(value["text"]))


def _run_json(run: Run) -> dict[str, Any]:
    return {"argv": list(run.argv), "may_fail": run.may_fail}


def _runs(values: Sequence[dict[str, Any]]) -> tuple[Run, ...]:
    return tuple(Run(tuple(map(str, value["argv"])), bool(value["may_fail"])) for value in values)
