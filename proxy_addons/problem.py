"""What can go wrong with a request, each with a stable code: the vocabulary of the fallback page."""

from __future__ import annotations

import enum
import errno
import re
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
    NOT_CLONED = "not-cloned"
    NOT_SET_UP = "not-set-up"
    SETUP_STALE = "setup-stale"
    CRASHED = "crashed"
    NOT_STARTED = "not-started"
    PORT_TAKEN = "port-taken"
    OTHER_PORT = "other-port"
    FOREIGN_ADDRESS = "foreign-address"
    REFUSED = "refused"
    SLOW = "slow"
    BROKEN_ANSWER = "broken-answer"
    REMOTE_REFUSED = "remote-refused"
    REMOTE_UNREACHABLE = "remote-unreachable"
    REMOTE_SLOW = "remote-slow"
    REMOTE_UNTRUSTED = "remote-untrusted"
    REMOTE_BROKEN_ANSWER = "remote-broken-answer"
    REMOTE_FORBIDDEN = "remote-forbidden"
    REMOTE_CREDENTIALS = "remote-credentials"
    WRITES_DENIED = "writes-denied"
    MISTAKE = "mistake"
    NOT_PRESSED = "not-pressed"
    LOOP = "loop"
    NO_ROUTE = "no-route"
    ENCODED_SLASH = "encoded-slash"
    DOT_SEGMENT = "dot-segment"
    DOUBLE_ENCODING = "double-encoding"
    BAD_ENCODING = "bad-encoding"
    UNKNOWN_IDENTITY = "unknown-identity"
    AMBIGUOUS_CALLER = "ambiguous-caller"
    BAD_SIMULATION = "bad-simulation"
    UNAUTHENTICATED = "unauthenticated"
    INVALID_TOKEN = "invalid-token"  # noqa: S105 - a name
    UNKNOWN_TOKEN = "unknown-token"  # noqa: S105 - a name
    DENIED = "denied"
    #: As RFC 6750, section 3.1, writes it.
    INSUFFICIENT_SCOPE = "insufficient_scope"
    AUTHORIZER_UNAVAILABLE = "authorizer-unavailable"
    AUTHORIZER_FAULT = "authorizer-fault"
    FAULT = "fault"


_STATUS = {
    Code.UNKNOWN_HOST: 404,
    Code.NOT_OURS: 421,
    Code.BAD_HOST: 400,
    Code.STOPPED: 503,
    Code.STARTING: 503,
    Code.STOPPING: 503,
    Code.EXITED: 503,
    Code.NOT_CLONED: 503,
    Code.NOT_SET_UP: 503,
    Code.SETUP_STALE: 503,
    Code.NOT_PRESSED: 403,
    Code.REMOTE_FORBIDDEN: 403,
    Code.WRITES_DENIED: 403,
    Code.SLOW: 504,
    Code.REMOTE_SLOW: 504,
    Code.LOOP: 508,
    Code.NO_ROUTE: 404,
    Code.ENCODED_SLASH: 400,
    Code.DOT_SEGMENT: 400,
    Code.DOUBLE_ENCODING: 400,
    Code.BAD_ENCODING: 400,
    Code.UNKNOWN_IDENTITY: 400,
    Code.AMBIGUOUS_CALLER: 400,
    Code.BAD_SIMULATION: 400,
    Code.UNAUTHENTICATED: 401,
    Code.INVALID_TOKEN: 401,
    Code.UNKNOWN_TOKEN: 401,
    Code.DENIED: 403,
    Code.INSUFFICIENT_SCOPE: 403,
    Code.AUTHORIZER_UNAVAILABLE: 503,
    Code.AUTHORIZER_FAULT: 500,
}
#: Seconds after which it is worth while to ask again: a start takes seconds, what was stopped needs a person first.
_RETRY_AFTER = {
    Code.STARTING: 2,
    Code.STOPPING: 2,
    Code.STOPPED: 10,
    Code.EXITED: 10,
    Code.NOT_CLONED: 10,
    Code.NOT_SET_UP: 10,
    Code.SETUP_STALE: 10,
    Code.AUTHORIZER_UNAVAILABLE: 10,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that went wrong.

    `detail` is the system's own word for it; `reference` leads to a line of the log. `hop`: where the way to a remote
    ended: ``proxy``, ``dns``, ``connect``, ``tls``, ``http``, or ``slow``. `known`: what could have been asked for
    instead. `headers` belong to the answer.
    """

    code: Code
    detail: str = ""
    reference: str = ""
    hop: str = ""
    known: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()

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


#: What getaddrinfo says on Linux (EAI_NONAME, EAI_AGAIN, EAI_NODATA) and on macOS.
_NO_NAME = re.compile(r"Errno (?:-2|-3|-5|8)\b|[Nn]ame or service not known|nodename nor servname|name resolution")

#: How mitmproxy tells that a proxy on the way would not lead on (`HttpUpstreamProxy`).
_OF_PROXY = "Upstream proxy"

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
    if not remote:
        return Problem(Code.SLOW, "no connection in time") if timed_out else Problem(Code.REFUSED, error)
    return Problem(Code.REMOTE_SLOW, "no connection in time", hop="slow") if timed_out else _of_remote(error)


def _of_remote(error: str) -> Problem:
    if "ertificate" in error or "hostname" in error.lower():
        return Problem(Code.REMOTE_UNTRUSTED, error, hop="tls")
    if _OF_PROXY in error:
        return Problem(Code.REMOTE_UNREACHABLE, error, hop="proxy")
    if _NO_NAME.search(error):
        return Problem(Code.REMOTE_UNREACHABLE, error, hop="dns")
    if "TLS" in error or "SSL" in error:
        return Problem(Code.REMOTE_UNREACHABLE, error, hop="tls")
    refused = f"Errno {errno.ECONNREFUSED}" in error or "refused" in error.lower()
    return Problem(Code.REMOTE_REFUSED if refused else Code.REMOTE_UNREACHABLE, error, hop="connect")


def of_answer(error: str, *, remote: bool, timed_out: bool) -> Problem:
    """Why a connection that stood gave no answer."""
    if remote:
        slow = Problem(Code.REMOTE_SLOW, "no answer in time", hop="slow")
        return slow if timed_out else Problem(Code.REMOTE_BROKEN_ANSWER, error, hop="http")
    return Problem(Code.SLOW, "no answer in time") if timed_out else Problem(Code.BROKEN_ANSWER, error)
