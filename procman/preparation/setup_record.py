"""Whether a service's folder is set up: when its setup last succeeded, and with which lock files and manifests."""

from __future__ import annotations

import enum
import hashlib
import json
import os
import re
import time
from pathlib import Path

from procman import private_file
from procman.service import Service

#: What says which dependencies a folder wants, at its top. A changed one means that the setup has to run again.
MANIFESTS = (
    *("Makefile", "makefile", "GNUmakefile"),
    *("Gemfile", "Gemfile.lock", ".ruby-version"),
    *(
        "package.json",
        "package-lock.json",
        "npm-shrinkwrap.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "bun.lock",
        "bun.lockb",
    ),
    *("deno.lock", ".node-version", ".nvmrc"),
    *("go.mod", "go.sum", "go.work", "go.work.sum"),
    *("pyproject.toml", "requirements*.txt", "requirements*.lock", "poetry.lock", "uv.lock", "pdm.lock"),
    *("Pipfile", "Pipfile.lock", ".python-version"),
    *("pom.xml", "build.gradle*", "settings.gradle*", "gradle.lockfile", "gradle/libs.versions.toml", ".java-version"),
    *("composer.json", "composer.lock", "mix.exs", "mix.lock", "Cargo.toml", "Cargo.lock"),
    *(".tool-versions", "mise.toml", ".mise.toml"),
)

_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
_TARGET = re.compile(r"^(?:[^\t#:=\n]*\s)?setup(?:\s[^:=\n]*)?::?(?!=)|^-?include\s", re.MULTILINE)


class Setup(enum.StrEnum):
    """How a folder stands. The words of ``status --json``."""

    DONE = "done"
    STALE = "stale"
    NEVER = "never"
    NONE = "none"  # there is nothing to do: no setup = …, and no target `setup` in a Makefile
    ABSENT = "absent"  # there is no folder


class SetupRecords:
    """One JSON file a workspace."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, service: Service) -> Setup:
        """How a service's folder stands now: its manifests are read, nothing else."""
        if not service.dir.is_dir():
            return Setup.ABSENT
        if not has_setup(service):
            return Setup.NONE
        kept = self._read().get(service.name)
        if not kept or kept.get("dir") != str(service.dir):
            return Setup.NEVER
        return Setup.DONE if kept.get("fingerprint") == fingerprint(service) else Setup.STALE

    def remember(self, service: Service) -> None:
        """The setup has succeeded. Raises ``OSError`` where that cannot be written down."""
        kept = {"dir": str(service.dir), "fingerprint": fingerprint(service), "at": time.time()}
        private_file.write(self._path, json.dumps({**self._read(), service.name: kept}, indent=1, sort_keys=True))

    def _read(self) -> dict[str, dict[str, object]]:
        try:
            value = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}


def has_setup(service: Service) -> bool:
    """Whether there is anything to run: a Makefile that has no target for it is the normal case of a small service."""
    if service.setup != "make setup":
        return bool(service.setup)
    for name in _MAKEFILES:  # in make's own order; it reads the first one only
        try:
            text = (service.dir / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        return _TARGET.search(text) is not None
    return False


def fingerprint(service: Service) -> str:
    """Another one when a manifest of the folder, or the command, is another one. By content: git changes times."""
    digest = hashlib.sha256(service.setup.encode())
    for pattern in MANIFESTS:
        for path in sorted(service.dir.glob(pattern)):
            try:
                data = path.read_bytes()
            except OSError:
                continue
            digest.update(b"\0%s\0%d\0" % (os.fsencode(path.relative_to(service.dir)), len(data)))
            digest.update(data)
    return digest.hexdigest()[:16]
