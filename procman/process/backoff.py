"""How long a process that failed rests before it is started again, and when it is given up."""

from __future__ import annotations

#: The pause before a restart doubles from the first to the longest, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0

#: So many failures in a row end in `failed`; a life of STABLE_AFTER seconds begins the count anew.
FAILURES = 6
STABLE_AFTER = 10.0


def pause_before(failure: int) -> float:
    """The seconds before the restart that follows the first, second, … failure in a row."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (failure - 1))


def failures_after(life: float, before: int) -> int:
    """How many failures in a row it is, after a life of so many seconds."""
    return 1 if life > STABLE_AFTER else before + 1
