"""What can go wrong with a request, each with a stable code: the vocabulary of the fallback page."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from procman.snapshot import ServiceStatus
from procman.state import State


class Code(enum.StrEnum):
    """Stable names, for programs: the `code` of the problem document and the key of the page's words."""

    UNKNOWN_HOST = "unknown-host"
    NOT_OURS = "not-ours"
    BAD_HOST = "bad-host"
    STOPPED = "stopped"
    STARTING = "starting"
    STOPPING = "stopping"
    EXITED = "exited"
    CRASHED = "crashed"
    REFUSED = "refused"
    SLOW = "slow"
    BROKEN_ANSWER = "broken-answer"
    REMOTE_UNREACHABLE = "remote-unreachable"
    REMOTE_SLOW = "remote-slow"
    REMOTE_UNTRUSTED = "remote-untrusted"
    REMOTE_BROKEN_ANSWER = "remote-broken-answer"
    LOOP = "loop"
    FAULT = "fault"


_STATUS = {
    Code.UNKNOWN_HOST: 404,
    Code.NOT_OURS: 421,
    Code.BAD_HOST: 400,
    Code.STOPPED: 503,
    Code.STARTING: 503,
    Code.STOPPING: 503,
    Code.EXITED: 503,
    Code.SLOW: 504,
    Code.REMOTE_SLOW: 504,
    Code.LOOP: 508,
}
#: Seconds after which it is worth while to ask again: a start takes seconds, what was stopped needs a person first.
_RETRY_AFTER = {Code.STARTING: 2, Code.STOPPING: 2, Code.STOPPED: 10, Code.EXITED: 10}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that went wrong. `detail` is the system's own word for it; `reference` leads to a line of the log."""

    code: Code
    detail: str = ""
    reference: str = ""

    @property
    def status(self) -> int:
        """The HTTP status code; 502 unless the code has a better one."""
        return _STATUS.get(self.code, 502)

    @property
    def retry_after(self) -> int | None:
        """Seconds for ``Retry-After``, for 503 alone."""
        return _RETRY_AFTER.get(self.code)

    @property
    def passes(self) -> bool:
        """Whether it ends by itself soon, so that a page may ask again."""
        return self.code in {Code.STARTING, Code.STOPPING}


_OF_STATE = {
    State.STOPPED: Code.STOPPED,
    State.QUEUED: Code.STARTING,
    State.STARTING: Code.STARTING,
    State.STOPPING: Code.STOPPING,
    State.BACKOFF: Code.CRASHED,
    State.FAILED: Code.CRASHED,
    State.EXITED: Code.EXITED,
}


def of_state(service: ServiceStatus) -> Problem:
    """Why a service whose route is the fallback page does not answer."""
    # READY and EXTERNAL belong to the local route; should a snapshot say otherwise, "refused" is what a client sees.
    return Problem(_OF_STATE.get(service.state, Code.REFUSED), service.problem)


def of_connection(error: str, *, remote: bool, timed_out: bool) -> Problem:
    """Why no connection to an upstream came about, from mitmproxy's words for it."""
    if timed_out:
        return Problem(Code.REMOTE_SLOW if remote else Code.SLOW, "no connection in time")
    if remote and ("ertificate" in error or "hostname" in error.lower()):
        return Problem(Code.REMOTE_UNTRUSTED, error)
    return Problem(Code.REMOTE_UNREACHABLE if remote else Code.REFUSED, error)


def of_answer(error: str, *, remote: bool, timed_out: bool) -> Problem:
    """Why a connection that stood gave no answer."""
    if timed_out:
        return Problem(Code.REMOTE_SLOW if remote else Code.SLOW, "no answer in time")
    return Problem(Code.REMOTE_BROKEN_ANSWER if remote else Code.BROKEN_ANSWER, error)
