"""`stores doctor`: walks the way of a request as this machine sees it, and names the first link that is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from procman.paths import Paths
from procman.snapshot import Snapshot
from procman.workspace import Workspace

#: Seconds for one question to a resolver, a port, a program. Loopback answers at once; a remote may be far away.
PATIENCE = 5.0


class Health(StrEnum):
    """`NOTE`: works, or is not needed for the way of a request, and somebody should know."""

    OK = "ok"
    NOTE = "note"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One link of the way: what was found, and what to type where that is not well."""

    link: str
    health: Health
    said: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is looked at. `snapshot` is None where no supervisor answers; `why` says then how that is.

    `mistakes` are the ones in the workspace's files, of which `workspace` has what could be read.
    """

    workspace: Workspace
    paths: Paths
    environ: Mapping[str, str]
    snapshot: Snapshot | None
    why: str = ""
    mistakes: tuple[str, ...] = ()

    @property
    def domain(self) -> str:
        """The domain that is served, else the one that the files say."""
        return self.snapshot.domain if self.snapshot else self.workspace.settings.domain

    @property
    def host(self) -> str:
        """A name that always exists and starts nothing: this tool's own."""
        return f"stores.{self.domain}"

    @property
    def home(self) -> Path:
        """The user's folder."""
        return Path(self.environ.get("HOME") or Path.home())

    @property
    def plain_url(self) -> str:
        """What works without DNS and trust."""
        port = self.snapshot.gateway.http if self.snapshot else 8080
        return f"http://NAME.localhost{'' if port == 80 else f':{port}'}/"  # noqa: PLR2004 (HTTP's own port)


Check = Callable[[Scene], Iterator[Finding]]


def examine(scene: Scene) -> Iterator[Finding]:
    """Each finding as it is made, in the order of a request's way; what only surrounds it comes last."""
    from procman import doctor_name, doctor_place, doctor_port, doctor_remote, doctor_trust  # noqa: PLC0415 (a cycle)

    way: tuple[Check, ...] = (
        doctor_place.files,
        doctor_name.resolver,
        doctor_name.names,
        doctor_port.ports,
        doctor_trust.authority,
        doctor_trust.programs,
        doctor_trust.stores,
        doctor_port.gateway,
        doctor_place.supervisor,
        doctor_place.services,
        doctor_remote.remotes,
        doctor_name.browsers,
        doctor_place.installation,
    )
    for check in way:
        yield from check(scene)


def ok(link: str, said: str) -> Finding:
    """A link that is well."""
    return Finding(link, Health.OK, said)


def note(link: str, said: str, mend: str = "") -> Finding:
    """Something to know."""
    return Finding(link, Health.NOTE, said, mend)


def broken(link: str, said: str, mend: str) -> Finding:
    """A link through which no request gets."""
    return Finding(link, Health.BROKEN, said, mend)
