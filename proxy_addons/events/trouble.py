"""What goes wrong again and again: said when it begins and when it is over, and not at each try between."""

from __future__ import annotations

import logging


class Trouble:
    """`what` begins each line: "Events cannot be read"."""

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log = log
        self._what = what
        self._on = False

    def begins(self, why: object) -> None:
        """It went wrong."""
        if not self._on:
            self._log.warning("%s, which is tried again by itself: %s", self._what, why)
        self._on = True

    def ends(self) -> None:
        """It went well."""
        if self._on:
            self._log.warning("%s: that is over", self._what)
        self._on = False
