"""NSS databases: where Firefox keeps its trusted roots, and Chromium on Linux. Edited by NSS's own certutil."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from certs import system_roots
from certs.trust_store import Root, ToolError, call, must

#: Below the home folder; each `*` is a profile. cert9.db is the SQL format, the only one that NSS writes since 3.35.
_FIREFOX = (
    ".mozilla/firefox/*",
    ".config/mozilla/firefox/*",  # since Firefox 147, on new machines
    "snap/firefox/common/.mozilla/firefox/*",
    ".var/app/org.mozilla.firefox/.mozilla/firefox/*",
    ".var/app/org.mozilla.firefox/config/mozilla/firefox/*",
    "Library/Application Support/Firefox/Profiles/*",
)
_CHROMIUM = (
    ".pki/nssdb",
    ".local/share/pki/nssdb",  # Chromium since 2024, where ~/.pki is not there
    "snap/chromium/current/.pki/nssdb",
    ".var/app/org.chromium.Chromium/.pki/nssdb",
    ".var/app/com.google.Chrome/.pki/nssdb",
    ".var/app/com.brave.Browser/.pki/nssdb",
    ".var/app/com.microsoft.Edge/.pki/nssdb",
)

_INSTALL = (
    ("apt-get", "sudo apt install libnss3-tools"),
    ("dnf", "sudo dnf install nss-tools"),
    ("pacman", "sudo pacman -S nss"),
    ("zypper", "sudo zypper install mozilla-nss-tools"),
    ("brew", "brew install nss"),
)

#: A CA for TLS servers, and for nothing else (certutil -A: trust for SSL, e-mail, code signing).
_TRUST = "C,,"


@dataclass(frozen=True, slots=True)
class NssDatabase:
    """The database in one folder."""

    folder: Path
    title: str
    kind: str = "nss"

    @property
    def place(self) -> str:
        """Its folder."""
        return str(self.folder)

    def has(self, root: Root) -> bool:
        """Whether our name stands there for this very certificate."""
        done = self._certutil("-L", "-n", root.name, "-a")
        return done.returncode == 0 and root.der in system_roots.parse(done.stdout)

    def add(self, root: Root) -> None:
        """A running browser knows it after a restart."""
        must(
            self._certutil("-A", "-n", root.name, "-t", _TRUST, "-i", str(root.file)),
            f"Import it by hand, in the browser's settings under certificates, authorities: {root.file}",
        )

    def remove(self, name: str) -> bool:
        """Deletes the certificate of that name, and nothing else."""
        if not self.folder.is_dir() or self._certutil("-L", "-n", name).returncode:
            return False
        must(self._certutil("-D", "-n", name), "Remove it in the browser's settings, under certificates, authorities")
        return True

    def _certutil(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return call([certutil(), *arguments, "-d", f"sql:{self.folder}"], installation())


def find(home: Path) -> Iterator[NssDatabase]:
    """The databases that there are. None is made: a browser that was never started makes its own."""
    for title, patterns in (("Firefox", _FIREFOX), ("Chromium", _CHROMIUM)):
        for pattern in patterns:
            for file in sorted(home.glob(f"{pattern}/cert9.db")):
                yield NssDatabase(file.parent, title)


def certutil() -> str:
    """The program. macOS has another one of that name in nobody's PATH, so Homebrew's folders are looked at first."""
    if sys.platform == "darwin":
        for folder in ("/opt/homebrew/opt/nss/bin", "/usr/local/opt/nss/bin"):
            if Path(folder, "certutil").exists():
                return f"{folder}/certutil"
    found = shutil.which("certutil")
    if found is None:
        raise ToolError(
            "certutil is not installed, and browsers' databases cannot be edited without it", installation()
        )
    return found


def installation() -> str:
    """What to type to have certutil."""
    return next((f"Install it: {command}" for tool, command in _INSTALL if shutil.which(tool)), "Install NSS's tools")
