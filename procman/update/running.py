"""Every supervisor that runs for this user, whatever its workspace, and its hand-over to the code on the disk."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

from procman.clients import supervisor
from procman.errors import StoresError
from procman.paths import Paths
from procman.state import ALIVE, ANSWERING, State
from procman.supervisor.roster import GATEWAY

#: Seconds for a supervisor to be back after it was asked to hand over, and between two looks.
PATIENCE = 30.0
_LOOK_AGAIN = 0.05


@dataclass(frozen=True, slots=True)
class Running:
    """One supervisor. `life` is another one after each hand-over; `commit` is the code's that it runs, where known."""

    paths: Paths
    root: str
    pid: int
    folder: str
    commit: str
    life: str

    @classmethod
    def of(cls, paths: Paths) -> Running:
        """Asks it. Raises `StoresError` where nobody answers, or one who is older than this question."""
        about = supervisor.answer(paths, "about")
        return cls(paths, *(about[key] for key in ("root", "pid", "folder", "commit", "life")))

    def processes(self) -> dict[str, int]:
        """The PIDs of the services' processes that it supervises now, by their whole names."""
        status = supervisor.answer(self.paths, "status")
        return {
            f"{service['name']}.{process['name']}": process["pid"]
            for service in status["services"]
            for process in service["processes"]
            if process["pid"] and State(process["state"]) in ALIVE | ANSWERING and process["state"] != State.EXTERNAL
        }

    def hand_over(self) -> None:
        """Makes it the supervisor of the code on the disk, its gateway too. Raises `StoresError` where it is not."""
        supervisor.answer(self.paths, "hand-over")
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if Running.of(self.paths).life != self.life:
                    break
            except (StoresError, OSError) as error:
                if supervisor.holder(self.paths) is None and _gone_for_good(self.paths):
                    raise StoresError(f"The supervisor of {self.root} did not come back") from error
            if time.monotonic() > deadline:
                raise StoresError(f"The supervisor of {self.root} is not back after {PATIENCE:g} s")
            time.sleep(_LOOK_AGAIN)
        supervisor.answer(self.paths, "restart", targets=[GATEWAY])


def _gone_for_good(paths: Paths) -> bool:
    """Between the exec and its own lock, nobody holds it for a moment."""
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:
        if supervisor.holder(paths) is not None:
            return False
        time.sleep(_LOOK_AGAIN)
    return True


def every(paths: Paths) -> tuple[list[Running], list[str]]:
    """All that answer, and what is to be said of those that do not. `paths` are any workspace's of this user."""
    found, said = [], []
    for lock in sorted((paths.state.parent).glob("*/supervisor.lock")):
        its = dataclasses.replace(paths, state=lock.parent)
        pid = supervisor.holder(its)
        if pid is None:
            continue
        try:
            found.append(Running.of(its))
        except StoresError as error:
            said.append(f"{lock.parent.name}, PID {pid}: {error.message}")
    return found, said


def settled(one: Running, before: dict[str, int]) -> list[str]:
    """The processes of `before` that do not live on under their PID."""
    now = one.processes()
    return [name for name, pid in before.items() if now.get(name) != pid]


def as_json(one: Running, before: dict[str, int]) -> dict[str, Any]:
    """For ``--json``."""
    return {"workspace": one.root, "pid": one.pid, "kept": before, "anew": settled(one, before)}
