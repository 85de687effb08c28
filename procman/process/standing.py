"""Where one process stands: what is wanted of it, its state, how it last ended, and what is to be said of it."""

from __future__ import annotations

import time

from procman.process.floor import Floor
from procman.process.ledger import Rest
from procman.state import State, move


class Standing:
    """Written by whoever leads the process, read by all. The state moves by `to` and `fail` alone."""

    def __init__(self, name: str, floor: Floor) -> None:
        self.name = name
        self.state = State.STOPPED
        self.since = time.time()
        self.wanted = False
        self.exit = ""
        self.exit_code: int | None = None
        self.problem = ""
        self.advice = ""
        self.restarts = 0
        self._floor = floor

    def want(self, *, wanted: bool) -> None:
        """Somebody wants it to run, or no longer; the next supervisor will know."""
        self.wanted = wanted
        self._floor.ledger.want(self.name, wanted=wanted)

    def forget_the_last_end(self) -> None:
        """How it ended before says nothing of what it does now."""
        self.exit, self.exit_code, self.problem = "", None, ""

    def to(self, state: State) -> None:
        """Moves on. Raises ``ValueError`` for a move that no event can cause."""
        if state is not self.state:
            self.state = move(self.state, state)
            self.since = time.time()
            self._floor.bell.ring()

    def rest(self, state: State, problem: str, *, note: bool = True) -> None:
        """It will do nothing more by itself; the ledger says why."""
        self.problem = problem if state is State.FAILED else ""
        if note:
            self.note(problem)
        self._floor.ledger.rested(self.name, Rest(str(state), self.exit, self.exit_code, self.problem))
        self.to(state)

    def rest_as(self, rest: Rest) -> None:
        """It had come to rest already under an earlier supervisor."""
        self.wanted = True
        self.exit, self.exit_code, self.problem = rest.exit, rest.exit_code, rest.problem
        self.state = State(rest.state)

    def fail(self, problem: str) -> None:
        """A fault of this program, from whatever state: the one move that no event of the process causes."""
        self.problem = problem
        self.state, self.since = State.FAILED, time.time()

    def trouble(self, problem: str) -> None:
        """Something is wrong, and it goes on all the same."""
        self.problem = problem
        self.note(problem)
        self._floor.bell.ring()

    def note(self, text: str) -> None:
        """Says something of it, where people look."""
        self._floor.note(self.name, text)
