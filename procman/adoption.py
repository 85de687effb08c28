"""What a killed supervisor left running: taken over, or ended where its file no longer describes it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from procman import tree
from procman.ledger import Ledger
from procman.tree import Tree

if TYPE_CHECKING:
    from procman.roster import Roster

#: How long a leftover may take to end before it is killed, in seconds.
_GRACE = 5.0


async def adopt(ledger: Ledger, roster: Roster, note: Callable[[str, str], None]) -> None:
    """Adopts each process that still is what its file says (same PID), and ends all else that carries our tag."""
    adopted = set()
    for name, process in roster.processes.items():
        entry = ledger.alive(name)
        if entry and entry.definition == process.plan.definition:
            process.adopt(entry)
            adopted.add(entry.tag)
            note(name, f"goes on, PID {entry.pid}: started before this supervisor")
    left = {tag for _, tag in tree.tagged(f"{ledger.run_id}/").values()} - adopted
    for name in [name for name, entry in ledger.entries.items() if entry.tag not in adopted]:
        entry = ledger.entries.pop(name)
        left.discard(entry.tag)
        if Tree(entry.pid, entry.start, entry.tag).members():
            note(name, f"PID {entry.pid} is left from an earlier run and no longer what its file says: ended")
            await Tree(entry.pid, entry.start, entry.tag).end(signal.SIGTERM, _GRACE, asyncio.Event())
    for tag in left:
        note(tag.partition("/")[2], "what an earlier run of it left behind is ended")
        await Tree(0, 0, tag).end(signal.SIGTERM, _GRACE, asyncio.Event())
    ledger.write()
