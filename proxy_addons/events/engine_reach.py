"""Whether an engine answers: noted with each question, as a server that is only slow or paused tells nobody."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from proxy_addons.events.engine import TooLargeError
from proxy_addons.events.writer import StorageError


class Reach:
    """`problem`: why the last question had no answer; empty when it had one."""

    def __init__(self) -> None:
        self.problem = ""

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Around a question."""
        try:
            yield
        except TooLargeError:
            raise
        except StorageError as error:
            self.problem = str(error)
            raise
        self.problem = ""
