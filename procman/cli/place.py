"""Which workspace a command is about."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from procman.cli import render
from procman.mistake import Mistake, refuse
from procman.paths import Paths, find_workspace
from procman.workspace import Workspace, read


@dataclass(frozen=True, slots=True)
class Place:
    """A workspace's folder, its files, and the environment that the command was given."""

    root: Path
    paths: Paths
    environ: Mapping[str, str]

    def workspace(self) -> Workspace:
        """The workspace as its files have it now, for a command that is about some of it.

        A mistake in a service's file is said, and keeps nobody from the other services. Raises `StoresError` where the
        settings are wrong: they are everybody's.
        """
        reading = read(self.root, self.environ)
        if not reading.settled:
            raise refuse(reading.mistakes)
        for mistake in reading.mistakes:
            if mistake not in _said:
                _said.append(mistake)
                render.warning(str(mistake))
        return reading.workspace


_chosen: dict[str, Path] = {}
_said: list[Mistake] = []


def choose(folder: Path | None) -> None:
    """Remembers what was given before the verb."""
    if folder is not None:
        _chosen["folder"] = folder


def here() -> Place:
    """The place of this command. Raises `StoresError` where there is no workspace."""
    environ = dict(os.environ)
    if "folder" in _chosen:
        environ["STORES_WORKSPACE"] = str(_chosen["folder"].resolve())
    root = find_workspace(environ, Path.cwd()).resolve()
    return Place(root, Paths.of(root, environ), environ)


def names(incomplete: str) -> list[str]:
    """The services and groups whose names begin so, for the shell's completion. Never an error, only fewer."""
    from procman.errors import StoresError  # noqa: PLC0415 (completion is quick or it is no use)

    try:
        place = here()
        workspace = read(place.root, place.environ).workspace
    except (StoresError, OSError):
        return []
    known = [*(service.name for service in workspace.services), *workspace.settings.groups]
    service, dot, _ = incomplete.partition(".")
    if dot:
        found = [one for one in workspace.services if one.name == service]
        known = [f"{one.name}.{process.name}" for one in found for process in one.processes]
    return [name for name in known if name.startswith(incomplete)]
