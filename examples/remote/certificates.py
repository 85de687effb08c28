"""The certificates of the sample remote: a CA, and one leaf for all hosts below the domain."""

from __future__ import annotations

import fcntl
import os
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

RENEW = 7 * 86400  # seconds before the end


@dataclass(frozen=True)
class Files:
    """`ca` is what clients trust; `leaf` is key and certificate of the server."""

    ca: Path
    leaf: Path


def certificates(folder: Path, domain: str) -> Files:
    """The files in the folder, made anew when one is missing or nearly over. Safe when two start at once."""
    files = Files(folder / "ca.pem", folder / "leaf.pem")
    with (folder / "certificates.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _usable(files):
            from remote.issue import issue  # noqa: PLC0415 - cryptography takes its time, once in ninety days

            ca, leaf = issue(domain)
            _write(files.leaf, leaf, 0o600)
            _write(files.ca, ca, 0o644)
    return files


def _usable(files: Files) -> bool:
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.leaf)
        context.load_verify_locations(files.ca)
    except (OSError, ssl.SSLError):
        return False
    ends = context.get_ca_certs()[0]["notAfter"]  # the leaf's too: they are made together
    return ssl.cert_time_to_seconds(str(ends)) > time.time() + RENEW


def _write(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all, and never readable by others in between."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
    new.replace(path)
