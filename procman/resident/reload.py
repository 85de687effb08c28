"""A changed file takes effect at once and touches nothing else; for a wrong one the last good state stays in force."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Mapping

from procman import workspace
from procman.errors import StoresError
from procman.machine.watch import watch
from procman.supervisor.supervisor import Supervisor
from procman.workspace import Workspace

#: How long changes are gathered before the files are read: an editor's save is several of them. Seconds.
GATHER = 0.1


class Reload:
    """Follows the workspace's files for a running supervisor."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        supervisor: Supervisor,
        environ: Mapping[str, str],
        note: Callable[[str, str], None],
        move_events: Callable[[Workspace], None],
    ) -> None:
        """`move_events`: the event broker is to be on the workspace's port; it may raise `StoresError`."""
        self._loop = loop
        self._supervisor = supervisor
        self._environ = environ
        self._note = note
        self._move_events = move_events
        self._gathering: asyncio.TimerHandle | None = None
        self._root = supervisor.roster.workspace.root

    def start(self) -> Callable[[], None]:
        """Begins to follow. Returns what ends it."""
        with contextlib.suppress(OSError):  # no inotify instance left: the files are read at the next start
            return watch(self._loop, [self._root, self._root / workspace.FOLDER], self.changed)
        self._note("stores", "changes of files cannot be followed on this system now; stores down and up -d reads them")
        return lambda: None

    def changed(self) -> None:
        """Something was saved. More of it usually follows within milliseconds."""
        if self._gathering is None:
            self._gathering = self._loop.call_later(GATHER, self.read)

    def read(self) -> None:
        """Reads the files, and lets what is right in them take effect."""
        self._gathering = None
        if not (self._root / workspace.FOLDER).is_dir():
            return  # renamed or deleted: what runs goes on as it is
        before, known = self._supervisor.roster.workspace, self._supervisor.fixtures.mistakes
        reading = workspace.read(self._root, self._environ, before)
        now, refused = self._moved(self._with_what_cannot_change(reading.workspace, before), before)
        mistakes = (*map(str, reading.mistakes), *refused)
        for mistake in mistakes:
            if mistake not in known:
                self._note("stores", mistake)
        if now != before or mistakes != known:
            self._supervisor.fixtures.mistakes = mistakes
            self._supervisor.roster.follow(now)
            self._supervisor.bell.ring()

    def _with_what_cannot_change(self, new: Workspace, before: Workspace) -> Workspace:
        """The running system stands on its domain and ports; only the event broker can move."""
        old = before.settings
        settings = dataclasses.replace(new.settings, domain=old.domain, http=old.http, https=old.https, dns=old.dns)
        if settings != new.settings:
            self._note("stores", "domain and ports take effect at the next start: stores down, then stores up -d")
        return dataclasses.replace(new, settings=settings)

    def _moved(self, new: Workspace, before: Workspace) -> tuple[Workspace, tuple[str, ...]]:
        """The workspace with the port at which events are now, and why that is not the one in the file."""
        try:
            self._move_events(new)
        except StoresError as error:
            events = dataclasses.replace(new.settings.events, port=before.settings.events.port)
            kept = dataclasses.replace(new, settings=dataclasses.replace(new.settings, events=events))
            return kept, (f"{error.message}: events stay on their port. {error.hint}",)
        return new, ()
