"""One run of a service's setup: its output into a log and to whoever watches, its exit code at the end."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from procman.service import Service

#: How many of its last lines a failure shows.
LAST_LINES = 20

#: What a setup leaves running may hold its output open; so long is waited for the last of it, in seconds.
_DRAIN = 0.5


@dataclass(frozen=True, slots=True)
class SetupResult:
    """How it ended."""

    code: int
    last: tuple[str, ...]


def run(service: Service, environ: dict[str, str], log: Path, heard: Callable[[str], None]) -> SetupResult:
    """Runs the setup in the service's folder. `heard` is called with each line, from another thread.

    It stays in the terminal's session, so that what must ask (sudo, ssh) can do so at ``/dev/tty``, and Ctrl-C reaches
    it. Raises ``OSError`` where the log cannot be written.
    """
    last: deque[str] = deque(maxlen=LAST_LINES)
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with log.open("wb", buffering=0) as file:
        process = subprocess.Popen(
            ["/bin/sh", "-c", service.setup],
            cwd=service.dir,
            env={**environ, "PWD": str(service.dir)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None

        def listen() -> None:
            with contextlib.suppress(ValueError, OSError):  # the log was closed: it only waits for a daemon by now
                for line in process.stdout or ():
                    file.write(line)
                    last.append(line.decode("utf-8", "replace").rstrip("\r\n"))
                    heard(last[-1])

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.wait()  # the terminal told it, too
            raise
        finally:
            listener.join(_DRAIN)
    return SetupResult(code, tuple(last))


def log_of(state: Path, service: Service) -> Path:
    """Where the last run of a service's setup is kept."""
    return state / "setup" / f"{service.name}.log"


def jobs() -> int:
    """How many things may be done at once."""
    return max(2, min(8, os.cpu_count() or 2))
