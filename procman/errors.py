"""The one exception that a person reads."""

from __future__ import annotations


class StoresError(Exception):
    """What failed, and what to type next.

    Low-level code raises ``ValueError`` or ``OSError``; the place that knows what was being attempted turns it into
    this, once. The command line prints `message` and `hint` on stderr and ends with `exit_code`: 1 failure, 2 usage
    or configuration, 4 unknown name.
    """

    def __init__(self, message: str, hint: str = "", *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code
