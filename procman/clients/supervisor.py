"""The other end of `procman.control`: asks the running supervisor, and yields what it tells."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from procman.errors import StoresError
from procman.paths import Paths


def holder(paths: Paths) -> int | None:
    """The PID of the supervisor that runs for this workspace, or None; 0 while it has not yet written it down.

    It holds the lock for as long as it lives, however it ends: so a file that it left behind is never mistaken for it.
    """
    try:
        number = os.open(paths.lock, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who look are not in each other's way
    except BlockingIOError:
        text = os.pread(number, 32, 0).split(b"\n")[0]
        return int(text) if text.isdigit() else 0
    finally:
        os.close(number)
    return None


def wait_for_supervisor(paths: Paths, alive: Callable[[], bool], patience: float) -> bool:
    """Whether a supervisor answers within `patience` seconds. Gives up when it is no longer `alive`.

    The socket's file alone says nothing: a killed supervisor leaves it behind.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if _answers(paths):
            return True
        if not alive():
            return _answers(paths)
        time.sleep(0.02)
    return False


def _answers(paths: Paths) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(_socket(paths))
        except OSError:
            return False
        return True


def _socket(paths: Paths) -> str:
    """Where the supervisor said that it listens: its XDG_RUNTIME_DIR may have been another than this command's."""
    try:
        said = paths.lock.read_text().split("\n")
    except OSError:
        said = []
    return said[1] if len(said) > 1 and said[1] else str(paths.socket)


#: A supervisor takes its socket with it when it ends; what it started lives on when it is killed.
KILLED = "The supervisor was killed, and what it ran may still run"
TAKE_OVER = "stores up -d gateway takes it over, stores down then ends it"


def _nothing(paths: Paths) -> StoresError:
    pid = holder(paths)
    if pid is not None:
        hint = f"It may be just starting: try again. Otherwise see {paths.supervisor_log}"
        return StoresError(f"The supervisor, PID {pid}, does not answer", hint)
    if paths.socket.exists():
        return StoresError(f"{KILLED} ({paths.root})", TAKE_OVER, exit_code=3)
    hint = "Start it: stores run NAME…, or in the background: stores up -d"
    return StoresError(f"Nothing runs in {paths.root}", hint, exit_code=3)


class Call:
    """One request to the supervisor. Iterating yields the lines of its answer, the last one ``{"ok": …}``."""

    def __init__(self, paths: Paths, verb: str, **parameters: Any) -> None:
        """Connects and asks. Raises `StoresError` (exit code 3) where nothing runs."""
        self._connection = socket.socket(socket.AF_UNIX)
        try:
            self._connection.connect(_socket(paths))
        except OSError as error:
            self._connection.close()
            raise _nothing(paths) from error
        self._connection.sendall(json.dumps({"verb": verb, **parameters}).encode() + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self._connection.makefile("rb") as lines:
            for line in lines:
                told = json.loads(line)
                if "error" in told:
                    failed = told["error"]
                    raise StoresError(failed["message"], failed["hint"], exit_code=failed["exit"])
                yield told
                if "ok" in told:
                    return
        raise StoresError("The supervisor ended while it was asked", "See what runs now: stores status")

    def fileno(self) -> int:
        """For whoever waits for this connection and for something else."""
        return self._connection.fileno()

    def receive(self) -> bytes:
        """What has come; empty at the end of the connection. Not to be mixed with iterating."""
        try:
            return self._connection.recv(65536)
        except OSError:
            return b""

    def say(self, **line: Any) -> None:
        """Sends one more line, to a verb that takes some (`attach`)."""
        self._connection.sendall(json.dumps(line).encode() + b"\n")

    def leave(self) -> None:
        """Ends what follows something (``logs -f``, a joined ``run``); the last lines can still be read."""
        self._connection.shutdown(socket.SHUT_WR)


def answer(paths: Paths, verb: str, **parameters: Any) -> Any:
    """Asks, and returns the value of the last line alone."""
    last: dict[str, Any] = {}
    with Call(paths, verb, **parameters) as call:
        for last in call:  # noqa: B007 (the last one is what is wanted)
            pass
    return last["ok"]
