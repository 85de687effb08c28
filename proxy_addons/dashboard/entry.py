"""One request that passed, as the page shows it; and W3C's trace context, by which requests belong together."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Any, Final

#: https://www.w3.org/TR/trace-context/#traceparent-header-field-values: version, trace, parent, flags.
_TRACEPARENT: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?"
)
#: Characters of a path and of a host that are kept.
LONGEST: Final = 300

BROWSER: Final = "browser"
UNKNOWN: Final = "unknown"


@dataclass(slots=True)
class Entry:
    """`at`, `began`, `first`, `ended`: the moment for people, and three of `time.perf_counter`; 0: not yet.

    `caller`, and `how` that is known: trace, process, page, agent, or empty.
    """

    number: int
    at: float
    began: float
    method: str
    scheme: str
    host: str
    path: str
    service: str
    trace: str
    span: str
    caller: str = UNKNOWN
    how: str = ""
    parent: int = 0
    route: str = ""
    status: int = 0
    first: float = 0.0
    ended: float = 0.0
    sent: int = 0
    received: int = 0
    error: str = ""

    @property
    def failed(self) -> bool:
        """Whether something is wrong with the service, or on the way to it; a client that left is no such thing."""
        return self.status >= 500 or self.error == BROKEN_OFF  # noqa: PLR2004 - RFC 9110, section 15.6

    def to_json(self) -> dict[str, Any]:
        """As the API tells it; `duration` and `first_byte` in seconds, null while they are not over."""
        return {
            "id": self.number,
            "at": round(self.at, 4),
            "method": self.method,
            "scheme": self.scheme,
            "host": self.host,
            "path": self.path,
            "service": self.service,
            "route": self.route,
            "status": self.status,
            "duration": round(self.ended - self.began, 5) if self.ended else None,
            "first_byte": round(self.first - self.began, 5) if self.first else None,
            "request_bytes": self.sent,
            "response_bytes": self.received,
            "caller": self.caller,
            "how": self.how,
            "trace": self.trace,
            "span": self.span,
            "parent": self.parent or None,
            "error": self.error,
        }


BROKEN_OFF: Final = "the answer broke off"
LEFT: Final = "the client left"


def trace_of(value: bytes) -> tuple[str, str] | None:
    """Trace and parent of a ``traceparent``; None where it is none."""
    match = _TRACEPARENT.fullmatch(value.strip())
    return (match[1].decode(), match[2].decode()) if match else None


def new_trace() -> tuple[str, str]:
    """Trace and parent of a request that nobody traces yet."""
    return f"{random.getrandbits(128) or 1:032x}", f"{random.getrandbits(64) or 1:016x}"


def shown_path(target: bytes) -> str:
    """Without the query's text: it may hold what nobody should read over a shoulder."""
    path, question, _ = target.decode("latin-1").partition("?")
    if "://" in path[:9]:  # a whole URL, as a proxy is asked
        path = "/" + path.partition("://")[2].partition("/")[2]
    return path[:LONGEST] + ("?…" if question else "")
