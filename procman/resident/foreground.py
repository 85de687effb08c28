"""A run in the foreground: its terminal, and when it is over."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence

from procman.errors import StoresError
from procman.process.supervised import Supervised
from procman.resident.display import Display
from procman.state import State
from procman.supervisor.roster import GATEWAY
from procman.supervisor.supervisor import Supervisor
from procman.workspace import Workspace

_OVER = frozenset({State.FAILED, State.EXITED, State.STOPPED, State.EXTERNAL})


def display(loop: asyncio.AbstractEventLoop, workspace: Workspace, environ: Mapping[str, str]) -> Display:
    """Standard output: a terminal in the foreground, the supervisor's log in the background."""
    names = [f"{service.name}.{process.name}" for service in workspace.services for process in service.processes]
    colour = os.isatty(1) and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    return Display(loop, 1, max(map(len, [*names, GATEWAY])), colour=colour)


async def run(supervisor: Supervisor, targets: Sequence[str], screen: Display) -> int:
    """Starts the targets; returns the exit code once nothing that runs will do anything more by itself."""
    started = True
    try:
        await supervisor.start(targets)
    except StoresError as error:
        started = False
        screen.note("stores", f"{error.message}\n{error.hint}")
    _tell_urls(supervisor, screen)
    services = supervisor.roster.services()
    await supervisor.bell.until(lambda: all(process.state in _OVER for process in services))
    return _exit_code(services, started=started)


def _exit_code(processes: Sequence[Supervised], *, started: bool) -> int:
    """The first failing child's; of one that a signal ended, as shells count it; 1 where one could not be started."""
    for process in processes:
        if process.exit_code:
            return process.exit_code if process.exit_code > 0 else 128 - process.exit_code
    return int(not started or any(process.state is State.FAILED for process in processes))


def _tell_urls(supervisor: Supervisor, screen: Display) -> None:
    """Where to look now."""
    snapshot = supervisor.snapshot()
    for service in snapshot.services:
        if service.wanted:
            screen.note("stores", f"{service.name} is {service.state}:  {'  '.join(service.urls)}")
    screen.note("stores", f"the certificates' CA: {snapshot.gateway.ca_file}   DNS: 127.0.0.1 port {snapshot.dns.port}")
    screen.note("stores", "Ctrl-C ends all of it. Elsewhere: stores status, stores logs -f, stores restart NAME")
