"""What every store of trusted roots has in common, and the certificate that goes into them."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from certs import system_roots
from procman.errors import StoresError

#: Seconds. keytool starts a virtual machine, certutil opens a database that a browser may be writing to.
_TIMEOUT = 60


@dataclass(frozen=True, slots=True)
class Root:
    """The root certificate of one domain's local CA."""

    domain: str
    file: Path
    der: bytes

    @classmethod
    def read(cls, domain: str, file: Path) -> Root:
        """From the CA's file. Raises `StoresError` where that is no certificate."""
        found = list(system_roots.read(file))
        if not found:
            raise StoresError(f"{file} holds no certificate", "Make the CA: stores setup --system")
        return cls(domain, file, found[0])

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal digits."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def name(self) -> str:
        """What it is called in every store: no two CAs share it, so that an old one can be told from a new one."""
        return name_of(self.domain, self.fingerprint)


def name_of(domain: str, fingerprint: str) -> str:
    """``stores-local.example.com-1a2b3c4d``: fit for a file, a nickname of NSS, an alias of Java."""
    return f"stores-{domain}-{fingerprint[:8]}"


class Store(Protocol):
    """One store that belongs to the user: an NSS database, a Java key store."""

    @property
    def kind(self) -> str:
        """``nss`` or ``java``."""

    @property
    def place(self) -> str:
        """Its path, which is also how it is found again."""

    @property
    def title(self) -> str:
        """What a person calls it: ``Firefox``."""

    def has(self, root: Root) -> bool:
        """Whether it trusts the certificate under our name. Raises `ToolError`."""

    def add(self, root: Root) -> None:
        """Adds it. Raises `ToolError`."""

    def remove(self, name: str) -> bool:
        """Removes what has that name; False where nothing has. Raises `ToolError`."""


class ToolError(ValueError):
    """A tool is missing or ended with an error; the message says which and why, `hint` what to type."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def call(command: Sequence[str], hint: str = "") -> subprocess.CompletedProcess[bytes]:
    """Runs a tool that asks nothing. Its exit code is the caller's business. Raises `ToolError`."""
    try:
        return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_TIMEOUT, check=False)
    except FileNotFoundError as error:
        raise ToolError(f"{command[0]} is not installed", hint) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{command[0]}: {error}") from error


def must(done: subprocess.CompletedProcess[bytes], hint: str = "") -> bytes:
    """What a tool wrote, if it ended well. Raises `ToolError` with its last line."""
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or b"no message").decode("utf-8", "replace").splitlines()
        raise ToolError(f"{Path(done.args[0]).name}: {said[-1]}", hint)
    return done.stdout
