"""What the doctor looks at: one workspace on this machine, and what its supervisor tells, where one runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from procman.errors import StoresError
from procman.paths import Paths
from procman.snapshot import Snapshot
from procman.workspace import Workspace

#: Seconds for one question to a resolver, a port, a program. Loopback answers at once; a remote may be far away.
PATIENCE = 5.0


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

    def was_told(self, part: str) -> bool:
        """Whether this machine's system was set up for it: ``names``, ``trust``. True where nobody can know that."""
        from procman.system import needs  # noqa: PLC0415 (the verb's module imports this one, and need not pay for it)

        try:
            return f"{part} {self.domain}" in needs.record()
        except StoresError:
            return True
