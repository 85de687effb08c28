"""Whom a connection to a remote trusts: the public CAs, and the one that stores.toml names."""

from __future__ import annotations

import ssl
from pathlib import Path


class Trust:
    """Read when it is needed, and anew when the file is another: it may come, or be replaced, while we run."""

    def __init__(self, ca: str) -> None:
        """`ca`: a PEM file, or empty for the public CAs alone."""
        self._ca = ca
        self._read: tuple[int, int, int] | None = None
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """Raises ``OSError`` that names the file and what to do where it cannot be used."""
        try:
            now = self._version()
            if self._context is None or now != self._read:
                context = ssl.create_default_context()
                if self._ca:
                    context.load_verify_locations(self._ca)
                self._context, self._read = context, now
        except OSError as error:  # ssl.SSLError is one
            why = error.strerror or str(error)
            raise OSError(f"its CA cannot be read, {self._ca}: {why} ([remote] ca in stores.toml names it)") from error
        return self._context

    def _version(self) -> tuple[int, int, int]:
        if not self._ca:
            return (0, 0, 0)
        facts = Path(self._ca).stat()
        return facts.st_ino, facts.st_size, facts.st_mtime_ns
