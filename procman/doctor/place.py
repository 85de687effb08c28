"""Supervisor, services, and the installation that they stand on."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from procman.clients import supervisor as client
from procman.doctor.finding import Finding, broken, note, ok
from procman.doctor.scene import Scene
from procman.errors import StoresError
from procman.state import BROKEN
from procman.system import files as system_file
from procman.system import needs


@dataclass(frozen=True, slots=True)
class Weakness:
    """A known vulnerability: `fixed` has the first good version of each series that was mended."""

    product: str
    fixed: tuple[tuple[int, ...], ...]
    what: str


#: Checked on 2026-11-24: CPython's issue 135034 and the announcement of its releases of June 2025; mitmproxy's release
#: notes (11.1.2, 12.1.2) and OSV (CVE-2026-40606). What is newer, or was not looked for, is not in it.
_WEAKNESSES = (
    Weakness(
        "Python",
        ((3, 11, 13), (3, 12, 11), (3, 13, 4)),
        "tarfile's extraction filters let an archive write outside its folder (CVE-2025-4517), unless your distribution"
        " mended it. stores unpacks no archives; whether a service on this Python does is its own affair",
    ),
    Weakness(
        "mitmproxy",
        ((11, 1, 2),),
        "mitmweb's API needs no token (CVE-2025-23217). This gateway runs no mitmweb",
    ),
    Weakness(
        "mitmproxy",
        ((12, 1, 2),),
        "it lets HTTP/2 smuggle requests into HTTP/1 (GHSA-847f-9342-265h): here, for clients by CONNECT alone",
    ),
    Weakness(
        "mitmproxy",
        ((12, 2, 2),),
        "its proxy authentication by LDAP can be injected into (CVE-2026-40606). This gateway has none",
    ),
)


def files(scene: Scene) -> Iterator[Finding]:
    """The workspace's. A running supervisor goes on with the last good ones."""
    for mistake in scene.mistakes:
        said = mistake.splitlines()[0]
        if scene.snapshot is None:
            yield broken("workspace", said, "stores check")
        else:
            yield note("workspace", f"{said} (what was right before stays in force)", "stores check")


def supervisor(scene: Scene) -> Iterator[Finding]:
    """Whether it runs."""
    if scene.snapshot is None:
        yield broken("supervisor", scene.why, "stores up -d")
        return
    yield ok("supervisor", f"PID {scene.snapshot.pid} runs {scene.snapshot.workspace}")


def services(scene: Scene) -> Iterator[Finding]:
    """Those that are to run here and do not."""
    if scene.snapshot is None:
        return
    running = [one for one in scene.snapshot.services if one.wanted]
    for one in running:
        if one.state in BROKEN:
            yield broken(
                "service", f"{one.name} is {one.state}: {one.problem or 'no reason known'}", f"stores logs {one.name}"
            )
        else:
            yield ok("service", f"{one.name} is {one.state}")
    if not running:
        yield note("service", "no service was started here: all hosts are answered by the remote", "stores start NAME")


def installation(scene: Scene) -> Iterator[Finding]:
    """What surrounds the way: versions, packages that bite each other, what was left behind."""
    yield from _weaknesses()
    try:
        version = metadata.version("dnspython")
        yield note(
            "installation",
            f"dnspython {version} is in the same environment: both are imported as `dns`, and one of them loses",
            "Install stores on its own: uv tool install, or pipx",
        )
    except metadata.PackageNotFoundError:
        pass
    yield from _left_behind(scene)


def weaknesses_of(product: str, version: tuple[int, ...]) -> Iterator[Weakness]:
    """The table's entries for a version: older than the fix in its own series, or than the oldest series mended."""
    for weakness in _WEAKNESSES:
        if weakness.product != product:
            continue
        series = [fixed for fixed in weakness.fixed if fixed[: len(fixed) - 1] == version[: len(fixed) - 1]]
        if version < (series or [min(weakness.fixed)])[0]:
            yield weakness


def _weaknesses() -> Iterator[Finding]:
    versions = {"Python": sys.version_info[:3], "mitmproxy": _numbers(metadata.version("mitmproxy"))}
    for product, version in versions.items():
        for weakness in weaknesses_of(product, tuple(version)):
            shown = platform.python_version() if product == "Python" else metadata.version("mitmproxy")
            fixed = ", ".join(".".join(map(str, one)) for one in weakness.fixed)
            yield note("installation", f"{product} {shown}: {weakness.what}", f"Mended in {fixed}")


def _left_behind(scene: Scene) -> Iterator[Finding]:
    """A socket without its supervisor, and changes of the system that are not as they were made."""
    if scene.snapshot is None and scene.paths.socket.exists() and client.holder(scene.paths) is None:
        yield note(
            "state", f"a supervisor that was killed left {scene.paths.socket}", "stores up -d (takes its services over)"
        )
    try:
        applied = needs.record()
    except StoresError as error:
        yield note("state", error.message, error.hint)
        return
    for name, one in applied.items():
        changed = [file.path for file in one.part.files if not system_file.is_done(file)]
        if changed:
            yield note("state", f"{name}: {', '.join(changed)} is not as stores wrote it", "stores setup --system")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
