"""The environment that the user's shell would have in a directory: what mise and direnv make of it, where installed.

Each is asked for the changes only (``mise env --json``, ``direnv export json``), and reads only what it is allowed to.
Nothing here may run in the supervisor: an ``.envrc`` can take minutes. `doorway` runs it in the child.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from procman.environment import directory_tool
from procman.environment.cached_changes import CachedChanges, watched_by_direnv

#: Where mise looks in a directory and all above it: mise.jdx.dev/configuration.html, and its idiomatic version files.
MISE_FILES = (
    "mise.toml",
    "mise.local.toml",
    ".mise.toml",
    ".mise.local.toml",
    "mise/config.toml",
    ".mise/config.toml",
    ".config/mise.toml",
    ".config/mise/config.toml",
    ".tool-versions",
)
#: What these may read besides: `_.file`, and the files of other version managers where mise is set to follow them.
_MISE_READS = (
    *(".env", ".env.local", ".ruby-version", ".node-version", ".nvmrc", ".python-version", ".java-version"),
    *(".go-version", "go.mod", "Gemfile", "package.json"),
)

#: Variables that differ from terminal to terminal, and mean nothing for what a directory's environment is.
_PASSING = frozenset({"_", "SHLVL", "PWD", "OLDPWD", "STORES_RUN", "STORES_LAYERS"})


@dataclass(frozen=True, slots=True)
class Entered:
    """The environment in a directory, and what is to be said about it."""

    environ: dict[str, str]
    said: tuple[str, ...]


def _upwards(folder: Path, names: tuple[str, ...]) -> Iterator[Path]:
    for place in (folder, *folder.parents):
        for name in names:
            yield place / name


def _mise_global(environ: Mapping[str, str]) -> Path:
    home = Path(environ.get("HOME", "/"))
    config = environ.get("MISE_CONFIG_DIR") or Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "mise"
    return Path(environ.get("MISE_GLOBAL_CONFIG_FILE") or Path(config) / "config.toml")


def tools(folder: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Which of mise and direnv are installed and have a say in the folder. A few dozen stat calls, no process."""
    path = environ.get("PATH", os.defpath)
    found = []
    if shutil.which("mise", path=path):
        files = (*_upwards(folder, MISE_FILES), _mise_global(environ))
        found += ["mise"] if any(file.is_file() for file in files) else []
    if shutil.which("direnv", path=path) and any(file.is_file() for file in _upwards(folder, (".envrc",))):
        found += ["direnv"]
    return tuple(found)


def enter(folder: Path, environ: Mapping[str, str], cache: Path | None, patience: float) -> Entered:
    """The environment of a shell with `environ` that goes to `folder`. Waits `patience` seconds for each tool.

    A folder that a tool is not allowed to read yet leaves the environment as it is, and says so. Raises `StoresError`
    where a tool fails or takes too long: a service with half of its environment fails later, and says less.
    """
    values = dict(environ)
    said: list[str] = []
    for tool in tools(folder, environ):
        store = CachedChanges(cache / f"{_key(folder)}-{tool}.json") if cache else None
        question = _question(tool, values)
        changes = store.find(question) if store else None
        if changes is None:
            answer = directory_tool.ask(tool, folder, values, patience)
            said += answer.said
            changes = answer.changes
            if store and answer.lasting:
                store.keep(question, changes, _files(tool, folder, values, changes))
        values |= {name: value for name, value in changes.items() if value is not None}
        for name in [name for name, value in changes.items() if value is None]:
            values.pop(name, None)
    return Entered(values, tuple(said))


def _key(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]


def _question(tool: str, environ: Mapping[str, str]) -> str:
    """A fingerprint of what the tool is asked with."""
    facts = [
        shutil.which(tool, path=environ.get("PATH")),
        sorted((k, environ[k]) for k in environ if k not in _PASSING),
    ]
    return hashlib.sha256(json.dumps(facts).encode("utf-8", "surrogateescape")).hexdigest()


def _files(tool: str, folder: Path, environ: Mapping[str, str], changes: Mapping[str, str | None]) -> list[Path]:
    """The files on which the answer depends, those that may yet appear included."""
    if tool == "direnv":
        watches = changes.get("DIRENV_WATCHES") or environ.get("DIRENV_WATCHES") or ""
        return [*_upwards(folder, (".envrc",)), *watched_by_direnv(watches)]
    home = Path(environ.get("HOME", "/"))
    state = Path(environ.get("MISE_STATE_DIR") or Path(environ.get("XDG_STATE_HOME") or home / ".local/state") / "mise")
    data = Path(environ.get("MISE_DATA_DIR") or Path(environ.get("XDG_DATA_HOME") or home / ".local/share") / "mise")
    known = [_mise_global(environ), state / "trusted-configs", data / "installs"]
    return [*_upwards(folder, MISE_FILES), *(folder / name for name in _MISE_READS), *known]
