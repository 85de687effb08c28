"""The one privileged step, planned: what this machine still needs for one workspace, and how each part is undone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from certs import trust_java
from certs.trust_store import Root, ToolError
from procman.errors import StoresError
from procman.machine import listen
from procman.resident import resolver
from procman.system import files, linux, macos
from procman.system import record as system_record
from procman.system.change import Part
from procman.system.record import Applied
from procman.system.target import Impossible, Plan, Target, names
from procman.workspace import Workspace

#: The names of the parts, for `plan`'s choice.
PORTS, NAMES, TRUST = "ports", "names", "trust"


def target(workspace: Workspace, root: Root) -> Target:
    """What the workspace needs of the system."""
    settings = workspace.settings
    return Target(
        domain=settings.domain,
        http=listen.DEFAULTS["http"][1] if settings.http is None else None,
        https=listen.DEFAULTS["https"][1] if settings.https is None else None,
        dns=resolver.port_of(settings),
        names=names(workspace),
        root=root,
    )


def plan(wanted: Target, environ: Mapping[str, str], chosen: tuple[str, ...] = (PORTS, NAMES, TRUST)) -> Plan:
    """What is to be done for the `chosen` parts. Looks at everything, changes nothing. Raises `StoresError`."""
    platform = macos if sys.platform == "darwin" else linux
    found = [getattr(platform, name)(wanted) for name in chosen]
    if TRUST in chosen:
        found += _java(wanted, environ)
    parts = [one for one in found if isinstance(one, Part)]
    applied = record()
    done = tuple(part for part in parts if is_in_force(part, wanted, applied))
    return Plan(
        wanted=tuple(part for part in parts if part not in done),
        done=done,
        impossible=tuple(one for one in found if isinstance(one, Impossible)),
    )


def record() -> dict[str, Applied]:
    """What was done to this machine. Raises `StoresError` where that cannot be read."""
    try:
        return system_record.read()
    except (ValueError, OSError) as error:
        raise StoresError(
            f"The record of what was changed in the system cannot be read: {error}",
            f"Look at it: sudo cat {system_record.FILE}",
        ) from error


def is_in_force(part: Part, wanted: Target, applied: Mapping[str, Applied]) -> bool:
    """Whether it was done as it would be done now, and is still so. Ports are tried, for a reboot may undo them."""
    known = applied.get(part.name)
    if known is None or known.part != part or not all(map(files.is_done, part.files)):
        return False
    if part.name == PORTS:
        pairs = ((80, wanted.http), (443, wanted.https))
        return all(listen.leads_to(public, own) for public, own in pairs if own is not None)
    return True


def ensure_ca(folder: Path, domain: str, environ: Mapping[str, str]) -> Root:
    """The local CA, made where there is none, in a child: cryptography stays out of this process. `StoresError`."""
    made = subprocess.run(
        [sys.executable, "-P", "-m", "certs", "--domain", domain, "--folder", folder],
        capture_output=True,
        text=True,
        check=False,
        env=dict(environ),
    )
    if made.returncode:
        raise StoresError(f"There is no local CA: {made.stderr.strip()}", f"Look at {folder}")
    return Root.read(domain, Path(made.stdout.splitlines()[-1]))


def _java(wanted: Target, environ: Mapping[str, str]) -> list[Part]:
    """A part for each key store that only root may edit and that does not trust the CA yet."""
    home = Path(environ.get("HOME") or Path.home())
    found = []
    for keystore in trust_java.find(home, environ):
        if not os.access(keystore.file, os.W_OK):
            try:
                if not keystore.has(wanted.root):
                    found.append(linux.java_part(wanted, keystore))
            except ToolError:
                continue
    return found
