"""A connection that changed its protocol, for one thread that reads, writes and is woken by others."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
from io import BufferedReader


class Connection:
    """Reads what the peer sends, and returns early when `wake` is called from any thread.

    Only the thread that owns the connection touches the socket: OpenSSL's connections must not be read and written at
    the same time, and a blocked read would hold up every write.
    """

    def __init__(self, sock: socket.socket, reader: BufferedReader) -> None:
        self._sock = sock
        self._early = self._already_read(reader)
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._woken, False)
        self._sock.settimeout(10)  # for one write, or for the rest of a TLS record whose beginning is there

    def _already_read(self, reader: BufferedReader) -> bytes:
        """What the peer sent right behind its request, and the reader of requests took in with it."""
        self._sock.settimeout(0)
        try:
            return reader.read1(len(reader.peek(1)) or 1) or b""
        except (BlockingIOError, ssl.SSLWantReadError, TypeError):
            return b""

    def receive(self, timeout: float | None) -> bytes | None:
        """The next bytes; b"" at the end; None when woken, or after `timeout` seconds of silence."""
        if self._early:
            early, self._early = self._early, b""
            return early
        if not (isinstance(self._sock, ssl.SSLSocket) and self._sock.pending()):
            readable, _, _ = select.select([self._sock, self._woken], [], [], timeout)
            if self._sock not in readable:
                self._clear()
                return None
        return self._sock.recv(65536)

    def _clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4096)

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it is awake already; closed: there is nobody to wake
            os.write(self._wake, b"\0")

    def close(self) -> None:
        wake, self._wake = self._wake, -1  # first: a late `wake` must not write to a number that is used anew
        os.close(wake)
        os.close(self._woken)
