"""Verbs that work in a service's environment and folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from procman.cli.arguments import Json, Name
from procman.cli.help import option
from procman.cli.place import Place, here
from procman.clients import supervisor
from procman.environment import directory, doorway, env_file, variables
from procman.environment.variables import Layers
from procman.errors import StoresError
from procman.machine.ports import Ports
from procman.process import plans
from procman.process.plans import Circumstances
from procman.service import Process, Service
from procman.workspace import Workspace

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

#: What a shell keeps itself: with another's value it would be wrong about where it is.
_SHELLS_OWN = {"PWD", "OLDPWD", "SHLVL", "_"}

#: As shells have it: a command that is not found, and one that cannot be executed.
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


@dataclass(frozen=True, slots=True)
class Inside:
    """A service's folder, and the environment of a shell that was made for it."""

    folder: Path
    environ: dict[str, str]


def inside(place: Place, target: str) -> Inside:
    """The folder and environment of a process, from this command's own environment, whether anything runs or not."""
    workspace = place.workspace()
    service, process = workspace.process(target)
    if not service.dir.is_dir():
        raise StoresError(
            f"{service.name} is not here: there is no folder {service.dir}", f"Get it: stores clone {service.name}"
        )
    shell = variables.base(place.environ)
    above = _told(place, workspace, service, process)
    below = env_file.load(service, {**shell, **above})
    if workspace.settings.shell != "never":
        entered = directory.enter(service.dir, shell, place.paths.state / "shell", workspace.settings.shell_timeout)
        shell = entered.environ
        for said in entered.said:
            sys.stderr.write(f"stores: {said}\n")
    return Inside(service.dir, {**Layers(below, shell, above).merged(), "PWD": str(service.dir)})


def _told(place: Place, workspace: Workspace, service: Service, process: Process) -> dict[str, str]:
    """Ports and URLs from what runs, else what they would be."""
    if supervisor.holder(place.paths) is not None:
        name = plans.name_of(service, process)
        told: dict[str, str] = supervisor.answer(place.paths, "environment", targets=[name])[name]
        return told
    place.paths.make()
    settings = workspace.settings
    circumstances = Circumstances(dict(place.environ), Ports(place.paths.ports), settings.https or 443, _ca(place))
    port = plans.port_of(service, process, workspace, circumstances.ports)
    return plans.told(service, process, workspace, port, circumstances)


def _ca(place: Place) -> dict[str, str]:
    """The variables that name the local CA, where it has been made already."""
    from certs import bundle  # noqa: PLC0415 (a room of its own; only here)
    from certs.folder import CaFolder  # noqa: PLC0415 (the same)

    folder = CaFolder(place.paths.ca(place.workspace().settings.domain))
    file = folder.path / "bundle.pem"
    return bundle.environment(folder, file, place.environ) if folder.ca_file.is_file() and file.is_file() else {}


def env(
    name: Name,
    as_json: Json = False,
    running: Annotated[
        bool, option("--running", help="What the process that runs now was started with, instead.")
    ] = False,
) -> None:
    """Print a service's environment, for a shell.

    It is this shell's own, with the service's .env files below it, what mise and direnv make of its folder, and what
    stores tells it: PORT, STORES_URL, the URLs of the others, the CA.

    For example:
      stores env netshop
      eval "$(stores env netshop)"
      stores env netshop.worker --json
    """
    place = here()
    environ = _running(place, name) if running else inside(place, name).environ
    if as_json:
        typer.echo(json.dumps(environ, indent=2, sort_keys=True))
        return
    for variable, value in sorted(environ.items()):
        if variable in _SHELLS_OWN:
            continue
        known = _VARIABLE.fullmatch(variable)
        typer.echo(f"export {variable}={shlex.quote(value)}" if known else f"# no shell's variable: {variable}")


def _running(place: Place, name: str) -> dict[str, str]:
    import psutil  # noqa: PLC0415 (30 ms that only this needs)

    service, process = place.workspace().process(name)
    status = supervisor.answer(place.paths, "status")["services"]
    pids = [
        one["pid"]
        for found in status
        if found["name"] == service.name
        for one in found["processes"]
        if one["name"] == process.name
    ]
    if not pids or not pids[0]:
        raise StoresError(f"{name} does not run", f"Start it: stores start {service.name}", exit_code=3)
    return dict(psutil.Process(pids[0]).environ())


def exec_(
    name: Name,
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND [ARGUMENT]...", help="What to run.")],
) -> None:
    """Run a command in a service's folder and environment.

    Its exit code is this command's, and so is its terminal.

    For example:
      stores exec netshop -- bin/rails console
      stores exec netshop -- sh -c 'echo $PORT'
    """
    if command[0] == "--":
        command = command[1:]
    if not command:
        raise StoresError("There is no command to run", f"For example: stores exec {name} -- make test", exit_code=2)
    room = inside(here(), name)
    os.chdir(room.folder)
    try:
        doorway.become(command, room.environ)
    except OSError as error:
        code = _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE
        raise StoresError(
            f"{command[0]} cannot be run in {room.folder}: {error.strerror}",
            f"See where it is looked for: stores env {name} | grep PATH=",
            exit_code=code,
        ) from error
