"""What all supervised processes stand on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from procman.process.bell import Bell
from procman.process.ledger import Ledger
from procman.process.spawn import Reaper
from procman.process.start_queue import StartQueue


@dataclass(frozen=True, slots=True)
class Floor:
    """One for the whole supervisor. `note` says something of a process, by its name."""

    loop: asyncio.AbstractEventLoop
    ledger: Ledger
    reaper: Reaper
    queue: StartQueue
    bell: Bell
    note: Callable[[str, str], None]
