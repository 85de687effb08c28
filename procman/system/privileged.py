"""``python -I -B -m procman.system.privileged``: the only code of ours that runs as root, and only for this long.

It reads one line of JSON, does what it says, and tells each result as a line of JSON: ``{"part", "done"}`` or
``{"part", "error"}``. A part that fails is taken back before the next one begins. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from procman.system import files
from procman.system import record as system_record
from procman.system.change import Block, Part, Put, Run
from procman.system.record import Applied

#: Commands are found where the system's own are, whatever the caller's PATH says.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: Seconds for one command: an update of Java's key store starts a virtual machine, on a busy laptop.
_TIMEOUT = 120


class CommandError(ValueError):
    """A command ended with an error."""


class Changes:
    """Applies and undoes parts, keeping the record a step ahead: what is not in it was not touched."""

    def __init__(self, user: str, record: Path = system_record.FILE) -> None:
        self._user = user
        self._record = record
        self._applied = system_record.read(record)

    def apply(self, part: Part) -> list[str]:
        """Does all of it or nothing. Returns what was done. Raises ``ValueError`` or ``OSError``."""
        before = self._applied.get(part.name)
        ours = {file.path for file in before.part.files} if before else set()
        for file in part.files:
            files.check(file, ours=file.path in ours)
        if before and before.part != part:
            self.undo(part.name)
        known = before if before and before.part == part else self._applied_now(part)
        self._applied[part.name] = known
        system_record.write(self._applied, self._record)
        try:
            return self._make(part)
        except (ValueError, OSError) as error:
            try:
                self.undo(part.name)
            except (ValueError, OSError) as second:
                raise ValueError(f"{error}; it could not be taken back: {second}") from error
            raise

    def _applied_now(self, part: Part) -> Applied:
        folders = dict.fromkeys(name for file in part.files for name in files.missing_folders(Path(file.path)))
        return Applied(
            part=part,
            user=self._user,
            folders=tuple(sorted(folders, key=len, reverse=True)),
            no_newline=tuple(file.path for file in part.files if files.lacks_newline(file)),
        )

    @staticmethod
    def _make(part: Part) -> list[str]:
        done = []
        for file in part.files:
            if not files.is_done(file):
                files.write(file)
                done.append(f"wrote {file.path}")
        for command in part.after:
            run(command)
            done.append(f"ran {command.shown}")
        return done

    def undo(self, name: str) -> list[str]:
        """Takes a part back. Returns what was removed. What is gone already is no error; what failed is raised last."""
        applied = self._applied[name]
        done: list[str] = []
        failed: list[str] = []

        def attempt(step: Callable[[], str]) -> None:
            try:
                if said := step():
                    done.append(said)
            except (ValueError, OSError) as error:
                failed.append(str(error))

        for command in applied.part.before_undo:
            attempt(partial(run, command))
        for file in reversed(applied.part.files):
            lacked = file.path in applied.no_newline
            attempt(partial(_removed, file, lacked))
        for command in applied.part.after_undo:
            attempt(partial(run, command))
        for folder in applied.folders:
            with contextlib.suppress(OSError):  # not empty: others use it now
                Path(folder).rmdir()
        if failed:
            raise ValueError("; ".join(failed))
        del self._applied[name]
        system_record.write(self._applied, self._record)
        return done


def _removed(file: Put | Block, lacked_newline: bool) -> str:  # noqa: FBT001 (one caller, above)
    if not files.remove(file, lacked_newline=lacked_newline):
        return ""
    return f"removed {file.path}" if isinstance(file, Put) else f"removed our lines from {file.path}"


def run(command: Run) -> str:
    """Runs it. Raises `CommandError` with the line that says why."""
    environ = {"PATH": _PATH, "LC_ALL": "C", "HOME": "/root"}
    try:
        done = subprocess.run(
            command.argv,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        if command.may_fail:
            return ""
        raise CommandError(f"{command.shown}: {error}") from error
    if done.returncode and not command.may_fail:
        lines = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
        said = next((line for line in lines if "error" in line.lower()), lines[-1])
        raise CommandError(f"{command.shown} ended with {done.returncode}: {said}")
    return f"ran {command.shown}"


def main() -> int:
    """Does one request. Returns 1 when a part failed; end of input without a request is a "no", and does nothing."""
    line = sys.stdin.readline()
    if not line:
        return 0
    os.umask(0o022)
    request = json.loads(line)
    changes = Changes(request["user"])
    failed = False
    for value in request["parts"]:
        name = value if isinstance(value, str) else value["name"]
        try:
            done = changes.undo(name) if isinstance(value, str) else changes.apply(Part.from_json(value))
            told = {"part": name, "done": done}
        except (ValueError, OSError) as error:
            failed = True
            told = {"part": name, "error": str(error)}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
