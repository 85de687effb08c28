"""One leaf certificate with its key, as a server needs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate for `names`, issued by the local CA. `pem` (key, leaf, intermediate) is also in `cert_file`."""

    cert_file: Path
    pem: bytes = field(repr=False)  # it holds the private key, which has no place in a log
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    renew_at: datetime

    @property
    def key_pem(self) -> bytes:
        """The private key, PEM."""
        return self.pem[: self.pem.index(_CERTIFICATE)]

    @property
    def chain_pem(self) -> bytes:
        """The leaf and the intermediate, PEM: what goes over the wire."""
        return self.pem[self.pem.index(_CERTIFICATE) :]

    def is_current(self, now: datetime) -> bool:
        """Whether it is to be served at `now`. False also before its beginning: the clock was set back."""
        return self.not_before <= now < self.renew_at
