"""Which workspace a command is about."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from procman.paths import Paths, find_workspace
from procman.workspace import Workspace, load


@dataclass(frozen=True, slots=True)
class Place:
    """A workspace's folder, its files, and the environment that the command was given."""

    root: Path
    paths: Paths
    environ: Mapping[str, str]

    def workspace(self) -> Workspace:
        """The workspace as its files have it now. Raises `StoresError` with every mistake in them."""
        return load(self.root, self.environ)


_chosen: dict[str, Path] = {}


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
        workspace = here().workspace()
    except (StoresError, OSError):
        return []
    known = [*(service.name for service in workspace.services), *workspace.settings.groups]
    service, dot, _ = incomplete.partition(".")
    if dot:
        found = [one for one in workspace.services if one.name == service]
        known = [f"{one.name}.{process.name}" for one in found for process in one.processes]
    return [name for name in known if name.startswith(incomplete)]
