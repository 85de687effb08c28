"""``python -m procman.environment.doorway``: the first thing in a child whose directory mise or direnv has a say in.

It asks them, and becomes the service's command (execve): the PID stays, and the supervisor neither waits nor collects.
It costs 25 ms of a start, and only in such directories.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from procman.environment import directory
from procman.environment.variables import Layers
from procman.errors import StoresError

#: How the layers travel: a process's environment can be read by its own user alone, its arguments by everybody.
VARIABLE = "STORES_LAYERS"

#: EX_CONFIG of sysexits.h: the environment cannot be made.
FAILED = 78


@dataclass(frozen=True, slots=True)
class Doorway:
    """How a command is started by way of this program."""

    layers: Layers
    folder: Path
    cache: Path | None
    patience: float

    def command(self, script: str) -> str:
        """The command line that leads to `script`, the text for ``sh -c``, which finds its folder in ``$0``."""
        return "exec " + shlex.join([sys.executable, "-E", "-P", "-m", "procman.environment.doorway", script])

    def environ(self) -> dict[str, str]:
        """The environment that it begins with."""
        told = {
            "below": self.layers.below,
            "above": self.layers.above,
            "folder": str(self.folder),
            "cache": str(self.cache or ""),
            "patience": self.patience,
        }
        return {**self.layers.shell, VARIABLE: json.dumps(told)}


def main() -> int:
    """Becomes the command; returns only where the environment cannot be made."""
    environ = dict(os.environ)
    told = json.loads(environ.pop(VARIABLE))
    folder = Path(told["folder"])
    try:
        entered = directory.enter(folder, environ, Path(told["cache"]) if told["cache"] else None, told["patience"])
    except StoresError as error:
        sys.stderr.write(f"stores: {error.message}\n  {error.hint}\n")
        return FAILED
    for said in entered.said:
        sys.stderr.write(f"stores: {said}\n")
    sys.stderr.flush()
    environ = Layers(told["below"], entered.environ, told["above"]).merged()
    become(["/bin/sh", "-c", sys.argv[1], str(folder)], {**environ, "PWD": str(folder)})
    return FAILED


def become(command: list[str], environ: dict[str, str]) -> None:
    """Becomes another program, with its signals as a shell leaves them (Python ignores two). Raises ``OSError``."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execvpe(command[0], command, environ)  # noqa: S606 (the program's purpose)


if __name__ == "__main__":
    sys.exit(main())
