"""Start at login: a file of the user's own, which nobody needs root for, and the shell's environment with it."""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from procman.errors import StoresError
from procman.system import autostart_linux, autostart_macos
from procman.system import files as system_file
from procman.system.change import HEADER, Put

#: Shells that take -l, -i and -c as bash does; another one is asked through sh, as a login shell.
_KNOWN = ("bash", "zsh", "fish", "ksh")


@dataclass(frozen=True, slots=True)
class Autostart:
    """One workspace's file, and the link that makes systemd read it (None where none is needed)."""

    file: Put
    link: Path | None

    @property
    def is_on(self) -> bool:
        """Whether it will start at the next login."""
        return system_file.is_done(self.file) and (self.link is None or self.link.is_symlink())

    def on(self) -> bool:
        """Makes it so; False where it was already. Raises `StoresError`."""
        if self.is_on:
            return False
        try:
            system_file.check(self.file, ours=False)
            system_file.write(self.file)
            if self.link:
                self.link.parent.mkdir(parents=True, exist_ok=True)
                self.link.unlink(missing_ok=True)
                self.link.symlink_to(self.file.path)
        except (ValueError, OSError) as error:
            raise StoresError(f"Start at login is not on: {error}", f"Look at it: ls -l {self.file.path}") from error
        return True


def of(root: Path, environ: Mapping[str, str]) -> Autostart:
    """The workspace's, as it would be now: the same program, the shell of this user."""
    key = hashlib.sha256(os.fsencode(root)).hexdigest()[:10]
    platform = autostart_macos if sys.platform == "darwin" else autostart_linux
    file, link = platform.files(root, key, command(root, environ), folder(environ), HEADER)
    return Autostart(file, link)


def command(root: Path, environ: Mapping[str, str]) -> list[str]:
    """The supervisor, by way of the user's shell as a terminal starts it: PATH, mise, nvm, rbenv are set up there."""
    shell = environ.get("SHELL") or "/bin/sh"
    supervisor = [sys.executable, "-P", "-m", "procman", "--workspace", str(root), "--background", "--resume"]
    interactive = ["-i"] if Path(shell).name in _KNOWN else []
    return [shell if interactive else "/bin/sh", "-l", *interactive, "-c", f"exec {shlex.join(supervisor)}"]


def folder(environ: Mapping[str, str]) -> Path:
    """Where the user's own jobs are."""
    home = Path(environ.get("HOME") or Path.home())
    if sys.platform == "darwin":
        return home / "Library/LaunchAgents"
    config = environ.get("XDG_CONFIG_HOME", "")
    return (Path(config) if Path(config).is_absolute() else home / ".config") / "systemd/user"


def every(environ: Mapping[str, str]) -> list[Path]:
    """The files of ours that are there, of whatever workspace."""
    files = (file for file in sorted(folder(environ).glob("*stores*")) if file.is_file())
    return [file for file in files if HEADER in file.read_text("utf-8", "replace")]


def off(file: Path) -> None:
    """Removes it, its link, and the folders that are empty then. What runs goes on. Raises `StoresError`."""
    try:
        wants = file.parent / autostart_linux.WANTS
        (wants / file.name).unlink(missing_ok=True)
        file.unlink(missing_ok=True)
        for empty in (wants, file.parent, file.parent.parent):
            empty.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        if file.exists():
            raise StoresError(f"Start at login is still on: {error}", f"Look at it: ls -l {file}") from error
