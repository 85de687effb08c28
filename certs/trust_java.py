"""Java's key stores: each JDK has one of its own, unless the system gives it a common one. Edited by keytool."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from certs import system_roots
from certs.trust_store import Root, call, must

_STORE = ("lib/security/cacerts", "jre/lib/security/cacerts")  # the second one: up to Java 8

#: Below the home folder: what the version managers install.
_MANAGED = (
    ".sdkman/candidates/java/*",
    ".local/share/mise/installs/java/*",
    ".asdf/installs/java/*",
    ".jenv/versions/*",
    ".jdks/*",  # IntelliJ
    "Library/Java/JavaVirtualMachines/*/Contents/Home",
)
_SYSTEM = ("/usr/lib/jvm/*", "/Library/Java/JavaVirtualMachines/*/Contents/Home", "/opt/java/*")

#: Key stores that the system makes from its own roots: what is trusted there is trusted here.
_COMMON = (
    "/etc/ssl/certs/java/cacerts",  # Debian, by /etc/ca-certificates/update.d/jks-keystore
    "/etc/pki/ca-trust/extracted/java/cacerts",  # Fedora
    "/etc/pki/java/cacerts",  # older Fedora
    "/etc/ca-certificates/extracted/java-cacerts.jks",  # Arch
    "/var/lib/ca-certificates/java-cacerts",  # openSUSE
)

#: Every JDK's own store has this password; it protects nothing, for all that is in it is public.
_PASSWORD = "changeit"  # noqa: S105 (see above)


@dataclass(frozen=True, slots=True)
class JavaKeystore:
    """One JDK's own key store."""

    file: Path
    keytool: Path
    title: str = "Java"
    kind: str = "java"

    @property
    def place(self) -> str:
        """Its file."""
        return str(self.file)

    @property
    def writable(self) -> bool:
        """Whether this user may edit it; otherwise root has to."""
        return os.access(self.file, os.W_OK)

    def has(self, root: Root) -> bool:
        """Whether our alias stands there for this very certificate."""
        done = self._run(*self._command("-list", "-rfc", "-alias", root.name))
        return done.returncode == 0 and root.der in system_roots.parse(done.stdout)

    def add(self, root: Root) -> None:
        """A virtual machine reads it when it starts."""
        must(self._run(*self.adding(root)))

    def remove(self, name: str) -> bool:
        """Deletes the entry with that alias, and nothing else."""
        if not self.file.exists() or self._run(*self._command("-list", "-alias", name)).returncode:
            return False
        must(self._run(*self.removing(name)))
        return True

    def adding(self, root: Root) -> tuple[str, ...]:
        """The command that adds it, for who has to do it as root."""
        return self._command("-importcert", "-noprompt", "-alias", root.name, "-file", str(root.file))

    def removing(self, name: str) -> tuple[str, ...]:
        """The command that removes it."""
        return self._command("-delete", "-alias", name)

    def _command(self, verb: str, *arguments: str) -> tuple[str, ...]:
        return (str(self.keytool), verb, "-keystore", str(self.file), "-storepass", _PASSWORD, *arguments)

    @staticmethod
    def _run(*command: str) -> subprocess.CompletedProcess[bytes]:
        return call(command, "Install a JDK")


def find(home: Path, environ: Mapping[str, str], system: tuple[str, ...] = _SYSTEM) -> Iterator[JavaKeystore]:
    """Each JDK's own key store, once, however many names lead to it; not those that the system makes."""
    seen = {Path(file) for file in _COMMON}
    for place in _places(home, environ, system):
        keytool = place / "bin" / "keytool"
        for name in _STORE:
            file = (place / name).resolve()
            if file.is_file() and file not in seen and keytool.exists():
                seen.add(file)
                yield JavaKeystore(file, keytool)


def common_store() -> Path | None:
    """The key store that the system makes, where Java uses one."""
    return next((Path(file) for file in _COMMON if Path(file).is_file()), None)


def _places(home: Path, environ: Mapping[str, str], system: tuple[str, ...]) -> Iterator[Path]:
    """JAVA_HOME, the java that is found, those of version managers, those of the system."""
    if environ.get("JAVA_HOME"):
        yield Path(environ["JAVA_HOME"])
    if java := shutil.which("java", path=environ.get("PATH")):
        yield Path(java).resolve().parent.parent
    for pattern in _MANAGED:
        yield from sorted(home.glob(pattern))
    for pattern in system:
        yield from sorted(Path("/").glob(pattern.lstrip("/")))
