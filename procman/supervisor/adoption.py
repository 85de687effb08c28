"""What a killed supervisor left: taken over, ended where its file no longer describes it, started where it had died."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from procman.process import tree
from procman.process.ledger import Entry, Ledger, Tag
from procman.process.supervised import Supervised
from procman.process.tree import Tree

if TYPE_CHECKING:
    from procman.supervisor.roster import Roster

#: How long a leftover of something that is registered no longer may take to end before it is killed, in seconds.
GRACE = 5.0


async def end_all(ledger: Ledger, name: str) -> None:
    """Ends everything that an earlier supervisor left of `name`."""
    entry = ledger.alive(name)
    tags = {text for _, text in tree.tagged(f"{ledger.run_id}/{name}/")}
    trees = [Tree(0, 0, tag) for tag in tags] + ([Tree(entry.pid, entry.start, entry.tag)] if entry else [])
    await asyncio.gather(*(one.end(signal.SIGTERM, GRACE, asyncio.Event()) for one in trees))
    ledger.ended(name)


@dataclass(slots=True)
class Adoption:
    """What was found, and what became of it. `missing` are those that were wanted and do not live: to be started."""

    ledger: Ledger
    note: Callable[[str, str], None]
    missing: list[str] = field(default_factory=list)

    def adopt(self, roster: Roster) -> None:
        """Gives each survivor to the process that it belongs to, and ends what belongs to none."""
        found = self._survivors()
        for name, process in roster.processes.items():
            tags = found.pop(name, {})
            wanted = name in self.ledger.wanted or bool(tags and not self.ledger.wanted)
            entry = self._main(name, tags)
            if entry:
                self._take_over(process, entry, wanted=wanted)
                tags.pop(entry.tag, None)
            elif name in self.ledger.rests:
                process.rest_as(self.ledger.rests[name])
            elif wanted:
                self.missing.append(name)
            self._end(roster, name, tags)
        for name, tags in found.items():
            self._end(roster, name, tags)
        for name in [name for name in self.ledger.entries if name not in roster.processes]:
            del self.ledger.entries[name]
        self.ledger.wanted &= set(roster.processes)
        self.ledger.write()

    def to_start(self, roster: Roster, *, resume: bool) -> list[str]:
        """The names of the services' processes that were wanted and do not live.

        `resume`: also those that were wanted when the machine or the login ended.
        """
        before = self.ledger.take_before()  # by whatever start: what is begun by hand is not mixed with it later
        missing = {*self.missing, *(before if resume else ())}
        return [process.name for process in roster.services() if process.name in missing]

    def _survivors(self) -> dict[str, dict[str, list[Entry]]]:
        """Everything that carries our tag, by name and tag; as entries, which tell them from strangers."""
        found: dict[str, dict[str, list[Entry]]] = {}
        for seen, text in tree.tagged(f"{self.ledger.run_id}/"):
            tag = Tag.parse(text)
            if tag:
                leads = seen.pid == seen.sid  # whom nobody wrote down: killed between the start and the note
                entry = Entry(seen.pid if leads else 0, seen.start, text, tag.definition, 0.0, 0)
                found.setdefault(tag.name, {}).setdefault(text, []).append(entry)
        return found

    def _main(self, name: str, tags: dict[str, list[Entry]]) -> Entry | None:
        """The main process by the ledger, else by its tag; where that is gone, what came of it stands for it."""
        known = self.ledger.entries.get(name)
        alive = self.ledger.alive(name)
        if alive:
            return alive
        if known:
            return Entry(0, 0, known.tag, "", known.since, known.restarts) if known.tag in tags else None
        leaders = [entry for entries in tags.values() for entry in entries if entry.pid]
        return min(leaders, key=lambda entry: entry.start, default=None)

    def _take_over(self, process: Supervised, entry: Entry, *, wanted: bool) -> None:
        process.adopt(entry)
        if not wanted:
            self.note(process.name, f"PID {entry.pid} was just being stopped when the last supervisor ended")
            process.dismiss()
        elif not entry.pid:
            self.note(process.name, "ended while no supervisor ran; what it left behind is ended, too")
        elif entry.definition != process.plan.definition:
            self.note(process.name, f"PID {entry.pid} is no longer what its file says: it is started anew")
            process.restart()
        elif entry.terminal and process.output.terminal is None:
            self.note(process.name, f"PID {entry.pid} lost its terminal with the supervisor before: it is started anew")
            process.restart()
        else:
            self.note(process.name, f"goes on, PID {entry.pid}: started before this supervisor")

    def _end(self, roster: Roster, name: str, tags: dict[str, list[Entry]]) -> None:
        """What no process stands for: registered no longer, or left by an even earlier life."""
        for tag in tags:
            self.note(name, "what an earlier run of it left behind is ended")
            hurry = asyncio.Event()
            roster.see_off(name, Tree(0, 0, tag).end(signal.SIGTERM, GRACE, hurry), hurry.set)
