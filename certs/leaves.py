"""The leaves on disk: a restart costs nothing, and two gateways on one CA serve the same certificates."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from datetime import datetime
from pathlib import Path

from certs.folder import PRIVATE, replace_file
from certs.issuer import Issuer
from certs.leaf import Leaf

#: Any web page can make the browser ask for names without end: the oldest files go. 2 MB.
LIMIT = 1024

_log = logging.getLogger(__name__)


class LeafFiles:
    """One file a leaf (key, leaf, intermediate), 0600 in a 0700 folder. None is needed: what is amiss is replaced."""

    def __init__(self, folder: Path, issuer: Issuer) -> None:
        self._folder = folder
        self._issuer = issuer

    def get(self, names: tuple[str, ...], now: datetime) -> Leaf:
        """The leaf on disk where it is good at `now`, else a new one. Raises `OSError`; `ValueError`: an ended CA."""
        file = self._file(names)
        try:
            leaf = self._issuer.read(_read_private(file), names, file)
            if leaf.is_current(now):
                return leaf
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as e:
            _log.info("Replacing a leaf certificate: %s", e)
        leaf = self._issuer.issue(names, now, file)
        self.write(leaf)
        return leaf

    def write(self, leaf: Leaf) -> None:
        """Puts `leaf` into its file. Raises `OSError`."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(leaf.cert_file, leaf.pem, PRIVATE)
        self._prune()

    def _prune(self) -> None:
        with os.scandir(self._folder) as entries:
            files = list(entries)
        if len(files) <= LIMIT:
            return
        ages: list[tuple[float, str]] = []
        for entry in files:
            try:
                ages.append((entry.stat().st_mtime, entry.path))
            except FileNotFoundError:  # another gateway was quicker
                continue
        for _, path in sorted(ages)[: LIMIT // 4]:  # a quarter, so that this is not done at each leaf
            Path(path).unlink(missing_ok=True)

    def _file(self, names: tuple[str, ...]) -> Path:
        # The digest keeps apart what was cut: a name may have 253 bytes and a file name with its ending 255.
        digest = hashlib.sha256(" ".join(names).encode()).hexdigest()[:12]
        return self._folder / f"{names[0][:180]}-{digest}.pem"


def _read_private(file: Path) -> bytes:
    with file.open("rb") as stream:
        if stat.S_IMODE(os.fstat(stream.fileno()).st_mode) & 0o077:
            raise ValueError(f"{file} could be read by others")
        return stream.read()
