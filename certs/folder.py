"""The folder of one local CA: where its files are, who may read them, and how they come to be there all at once.

Standard library only: whoever merely wants to know where the root certificate is does not load cryptography.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shlex
import stat
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from procman.errors import StoresError

#: Seconds. To make a CA takes milliseconds: who waits longer waits for a process that is suspended.
LOCK_TIMEOUT = 10.0

_PRIVATE_FOLDER, PRIVATE, PUBLIC = 0o700, 0o600, 0o644


class CaFolder:
    """Paths and permissions. The three files of the CA stand in a folder that appears by one rename, or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._authority = path / "authority"

    @property
    def ca_file(self) -> Path:
        """The root certificate, PEM: what clients trust. There once `exists`."""
        return self._authority / "root.pem"

    @property
    def intermediate_file(self) -> Path:
        """The certificate that issues the leaves."""
        return self._authority / "intermediate.pem"

    @property
    def key_file(self) -> Path:
        """Its private key."""
        return self._authority / "intermediate.key"

    @property
    def leaves(self) -> Path:
        """The leaves issued so far: a cache, which may be deleted at any time."""
        return self.path / "leaves"

    @property
    def exists(self) -> bool:
        """Whether a CA was made here (which says nothing of its health)."""
        return self._authority.exists()

    @property
    def removal(self) -> str:
        """What to type when this CA is beyond repair."""
        return f"Delete it: rm -r {shlex.quote(str(self.path))} (a new one is made, to be trusted where this one was)"

    def make(self) -> None:
        """Makes the folder, 0700. Raises `OSError`, and `StoresError` when others may write to it.

        One that others may only look into is closed silently: nothing was lost, for the key has its own 0600.
        """
        # each of them, not only the last: XDG Base Directory Specification 0.8
        for folder in (*(each for each in reversed(self.path.parents) if not each.exists()), self.path):
            folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
        for folder in (self.path, self._authority, self.leaves):
            if folder.exists():
                self._close(folder)

    def _close(self, folder: Path) -> None:
        status = folder.stat()
        # Whoever could write here may have put a CA of his own into it: no mode that we set now undoes that.
        if os.geteuid() not in {status.st_uid, 0}:
            raise StoresError(
                f"The local CA's folder {folder} belongs to another user",
                f"If it was made by sudo: sudo chown -R $(id -un) {shlex.quote(str(self.path))}",
            )
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise StoresError(f"Others may write to the local CA's folder {folder}", self.removal)
        if stat.S_IMODE(status.st_mode) & 0o077:
            folder.chmod(_PRIVATE_FOLDER)

    @contextmanager
    def lock(self) -> Generator[None]:
        """Held by the process that makes the CA; the kernel drops it with the process, however it ends.

        Raises `TimeoutError` after `LOCK_TIMEOUT` seconds.
        """
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        try:
            _flock(descriptor, time.monotonic() + LOCK_TIMEOUT)
            yield
        finally:
            os.close(descriptor)

    def publish(self, root: bytes, intermediate: bytes, key: bytes) -> None:
        """Puts a new CA here, whole, also through a power cut. To be called with the lock held. Raises `OSError`."""
        import shutil  # noqa: PLC0415 -- half a megabyte of compressors, which only a new CA pays for

        for stale in self.path.glob(".new-*"):
            shutil.rmtree(stale, ignore_errors=True)  # of a process that was killed halfway; we hold its lock
        staging = self.path / f".new-{secrets.token_hex(4)}"
        staging.mkdir(mode=_PRIVATE_FOLDER)
        _write(staging / self.ca_file.name, root, PUBLIC)
        _write(staging / self.intermediate_file.name, intermediate, PUBLIC)
        _write(staging / self.key_file.name, key, PRIVATE)
        _sync_folder(staging)
        staging.rename(self._authority)
        _sync_folder(self.path)

    def read(self) -> Mapping[str, bytes]:
        """The texts for `Chain.parse`. Raises `OSError`, and `StoresError` when others may read or swap a file."""
        status = self.key_file.stat()
        if stat.S_IMODE(status.st_mode) & 0o077:
            # Not mended: the key may have been copied, and only its owner can tell.
            raise StoresError(
                f"Others may read the local CA's key {self.key_file}",
                f"If nobody had access: chmod 600 {shlex.quote(str(self.key_file))}. Otherwise: {self.removal}",
            )
        for file in (self.ca_file, self.intermediate_file):
            if stat.S_IMODE(file.stat().st_mode) & (stat.S_IWGRP | stat.S_IWOTH):
                raise StoresError(f"Others may write to the local CA's certificate {file}", self.removal)
        return {
            "root": self.ca_file.read_bytes(),
            "intermediate": self.intermediate_file.read_bytes(),
            "key": self.key_file.read_bytes(),
        }


def replace_file(file: Path, content: bytes, mode: int, *, sync: bool = False) -> None:
    """Writes beside `file` and renames: a reader sees the old text or the new one. Raises `OSError`.

    `sync`: through a power cut, too, for what cannot simply be made again.
    """
    staging = file.with_name(f".{secrets.token_hex(8)}.new")
    try:
        _write(staging, content, mode, sync=sync)
        staging.replace(file)
        if sync:
            _sync_folder(file.parent)
    finally:
        staging.unlink(missing_ok=True)


def _write(file: Path, content: bytes, mode: int, *, sync: bool = True) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(descriptor, "wb") as stream:  # noqa: PTH123 -- a descriptor, so that the file is born with its mode
        os.fchmod(descriptor, mode)  # the umask may have taken from it what a client needs
        stream.write(content)
        if sync:
            stream.flush()
            os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flock(descriptor: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError(
                    errno.ETIMEDOUT, "another process is making it and does not come to an end"
                ) from None
            time.sleep(0.02)  # flock knows no time-out, and a signal for one would be the whole program's
        else:
            return
