"""What all supervised processes stand on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from procman.bell import Bell
from procman.ledger import Ledger
from procman.queue import StartQueue
from procman.spawn import Reaper


@dataclass(frozen=True, slots=True)
class Floor:
    """One for the whole supervisor. `note` says something of a process, by its name."""

    loop: asyncio.AbstractEventLoop
    ledger: Ledger
    reaper: Reaper
    queue: StartQueue
    bell: Bell
    note: Callable[[str, str], None]
