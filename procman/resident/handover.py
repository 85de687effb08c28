"""What a supervisor gives to the one that it becomes by an exec: descriptors, and variables that name them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from procman.machine import listen
from procman.resident.gateway_process import GatewayProcess
from procman.supervisor.roster import Roster

#: The variable that tells of the terminals: JSON, the processes' names and our descriptors.
TERMINALS = "STORES_TERMINALS"


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What this process has from the supervisor that it was before; empty where it was none.

    `sockets`: the gateway's, as `listen.hand_over` writes them. `terminals`: our sides of them, by process.
    """

    sockets: str
    terminals: dict[str, int]

    @classmethod
    def take(cls, environ: dict[str, str]) -> Inheritance:
        """Out of the environment, so that no child is told of it."""
        return cls(environ.pop(listen.HANDED_OVER, ""), json.loads(environ.pop(TERMINALS, "{}")))


def become_the_next_one(environ: Mapping[str, str], gateway: GatewayProcess, roster: Roster) -> NoReturn:
    """Runs the code that is on the disk now in this process: what it started stays its child.

    The next one goes on as after a kill of this one (`adoption`), and has the gateway's sockets and the terminals
    besides. Raises ``OSError`` where there is no such code.
    """
    arguments = [sys.executable, "-P", "-m", "procman", *sys.argv[1:]]
    given = gateway.handed_over() | {TERMINALS: json.dumps(roster.give_terminals())}
    os.execve(sys.executable, arguments, {**environ, **given})  # noqa: S606 (no shell is wanted: this very interpreter)
