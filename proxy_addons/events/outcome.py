"""What a subscriber's answer means for its event (Knative Eventing, data plane contract: "Event Delivery")."""

from __future__ import annotations

import enum
import random
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

_RETRIED = frozenset({404, 408, 409, 429})
_GONE = 410
#: Answers whose Retry-After is honoured (RFC 9110, section 10.2.3; RFC 6585, section 4).
_SAYS_WHEN = frozenset({429, 503})
#: Seconds between two attempts at most, and what a subscriber may ask for at most.
LONGEST_BACKOFF, LONGEST_RETRY_AFTER = 300.0, 3600.0
_JITTER = 0.2


class Verdict(enum.Enum):
    """What becomes of the event. WAIT spends no attempt."""

    DONE = "done"
    RETRY = "retry"
    DEAD = "dead"
    GONE = "gone"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt's end. `status` is None where there was no answer.

    `retry_after`: seconds before which another one is in vain; 0 where nobody says, ``inf`` until something changes.
    """

    verdict: Verdict
    status: int | None = None
    reason: str = ""
    retry_after: float = 0.0

    @property
    def told(self) -> str:
        """For people."""
        return f"{self.status or ''} {self.reason}".strip()


def of_status(status: int, retry_after: str = "", reason: str = "") -> Outcome:
    """The outcome of an answer."""
    if 200 <= status < 300:  # noqa: PLR2004 - success
        return Outcome(Verdict.DONE, status)
    if status == _GONE:
        return Outcome(Verdict.GONE, status, reason)
    if status in _RETRIED or status >= 500:  # noqa: PLR2004 - the server's fault
        wait = seconds(retry_after) if status in _SAYS_WHEN else 0.0
        return Outcome(Verdict.RETRY, status, reason, wait)
    return Outcome(Verdict.DEAD, status, reason)


def seconds(retry_after: str) -> float:
    """Retry-After, seconds or a date, as seconds from now; 0 where it says nothing usable."""
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text), LONGEST_RETRY_AFTER)
    try:
        wait = parsedate_to_datetime(text).timestamp() - time.time()
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return min(max(0.0, wait), LONGEST_RETRY_AFTER)


def backoff(attempt: int, first: float) -> float:
    """Seconds to wait after the given attempt (1 for the first): doubled each time, a fifth more or less by chance."""
    delay: float = min(first * 2.0 ** min(attempt - 1, 30), max(first, LONGEST_BACKOFF))
    return delay * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - spreads load, guards nothing


def longest_backoff(first: float) -> float:
    """Seconds that an event may have to wait for its next attempt at most."""
    return max(max(first, LONGEST_BACKOFF) * (1 + _JITTER), LONGEST_RETRY_AFTER)
