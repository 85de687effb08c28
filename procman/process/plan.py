"""How one process is run: everything that its supervision needs to know, and nothing of where it comes from."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass

from procman.process.readiness import Ready, settled
from procman.process.spawn import Launch


@dataclass(frozen=True, slots=True)
class Plan:
    """How the process `name` (``netshop.web``) is run.

    `launch` says what to start, asked anew each time; it raises `StoresError` where nothing can be started, and why.
    `ready` returns once the process answers; `port_awaited`: on its port. Times in seconds. `terminal`: it is started
    on one. `restart`: always, on-failure, never. `define` tells whether a running process is still the one that its
    files describe, as they are when it is asked.
    """

    name: str
    launch: Callable[[str], Launch]
    define: Callable[[], str]
    ready: Ready = settled
    waits_for: str = "to live a moment"
    ready_timeout: float = 60.0
    restart: str = "on-failure"
    grace: float = 5.0
    stop_signal: int = signal.SIGTERM
    port: int | None = None
    port_awaited: bool = False
    terminal: bool = False

    @property
    def definition(self) -> str:
        """What `define` says now."""
        return self.define()
