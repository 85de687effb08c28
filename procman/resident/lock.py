"""One supervisor a workspace. The kernel gives the lock back, however the process that held it ends."""

from __future__ import annotations

import fcntl
import os
import shlex
import time

from procman.clients import supervisor
from procman.errors import StoresError
from procman.paths import Paths

#: A command that only looks who holds the lock holds it itself for microseconds: so it is tried again. Seconds.
_PATIENCE = 0.2


def take(paths: Paths) -> int:
    """The lock's descriptor. The file says who holds it, and where he listens. Raises `StoresError`."""
    paths.make()
    lock = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.01)
                continue
            os.close(lock)
            pid = supervisor.holder(paths) or "?"
            raise StoresError(f"A supervisor runs here already: PID {pid}", "See it: stores status") from None
    paths.socket.unlink(missing_ok=True)  # of one that was killed: nobody shall take it for this one's
    said = f"{os.getpid()}\n{paths.socket}\n".encode()
    try:
        os.pwrite(lock, said, 0)  # over what stands there, and cut after it: so a full disk has room for it
        os.ftruncate(lock, len(said))
    except OSError as error:
        os.close(lock)
        room = f"Make room there: df {shlex.quote(str(paths.state))}"
        raise StoresError(f"Cannot write {paths.lock}: {error.strerror}", room) from error
    return lock
