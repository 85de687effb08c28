"""Who issues the certificates that clients meet: the workspace's CA, as the newest snapshot names it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from procman.errors import StoresError

if TYPE_CHECKING:
    from certs.authority import Authority
    from proxy_addons.view import View

_log = logging.getLogger(__name__)


class Authorities:
    """The CA of this moment. It is read when the first certificate is wanted: reading it costs 100 ms of imports."""

    def __init__(self) -> None:
        self._ca_file = ""
        self._domain = ""
        self._authority: Authority | None = None
        self._read = False

    def told(self, view: View) -> None:
        """Follows a new snapshot, which may name another CA."""
        ca_file = view.snapshot.gateway.ca_file
        if ca_file != self._ca_file:
            self._ca_file, self._domain = ca_file, view.snapshot.domain
            self._authority, self._read = None, False

    @property
    def authority(self) -> Authority | None:
        """None while there is none, which is logged: it costs TLS only, and plain HTTP is served all the same."""
        if not self._read and self._ca_file:
            self._read = True
            self._authority = _authority(Path(self._ca_file), self._domain)
        return self._authority


def _authority(ca_file: Path, domain: str) -> Authority | None:
    from certs.authority import Authority  # noqa: PLC0415 - see `Authorities`

    try:
        return Authority.load_or_create(_folder(ca_file), domain)
    except StoresError as error:
        _log.error("%s (%s)", error.message, error.hint)
        return None


def _folder(ca_file: Path) -> Path:
    """The folder of the CA whose root certificate is `ca_file`."""
    from certs.folder import CaFolder  # noqa: PLC0415 - see `Authorities`

    above = ca_file.parent, ca_file.parent.parent
    return next((folder for folder in above if CaFolder(folder).ca_file == ca_file), ca_file.parent)
