"""The verb for start at login."""

from __future__ import annotations

import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from procman.cli.help import option
from procman.cli.place import here
from procman.system import autostart as at_login


class Wish(StrEnum):
    """What is asked for."""

    ON = "on"
    OFF = "off"


def autostart(
    wish: Annotated[
        Wish | None, typer.Argument(metavar="[on|off]", help="Without it: say which it is.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, option("--dry-run", help="Only show the file.")] = False,
) -> None:
    """Bring back at login what ran before.

    A unit of systemd's user manager, or a launchd agent. It goes by way of your shell, so that services find what they
    find in a terminal. No root is needed. What runs now is not touched.

    For example:
      stores autostart on
      stores autostart on --dry-run
      stores autostart off
    """
    place = here()
    job = at_login.of(place.root, place.environ)
    file = Path(job.file.path)
    if wish is None:
        typer.echo(f"{place.root} {'starts' if job.is_on else 'does not start'} at login")
    elif dry_run:
        typer.echo(
            f"{'write' if wish is Wish.ON else 'remove'} {file}\n{job.file.text if wish is Wish.ON else ''}", nl=False
        )
    elif wish is Wish.ON:
        done = job.on()
        _tell_systemd()
        typer.echo(
            f"{place.root} starts at login, with what ran before. {'Wrote' if done else 'Was so already:'} {file}"
        )
    else:
        was = file.exists()
        at_login.off(file)
        _tell_systemd()
        typer.echo(f"{place.root} does not start at login. {'Removed' if was else 'Was so already: no'} {file}")


def _tell_systemd() -> None:
    """Where a user manager runs, it reads its files anew; where none does, it will when it starts."""
    if sys.platform == "linux":
        try:
            subprocess.run(["systemctl", "--user", "daemon-reload"], capture_output=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return
