"""``POST /v1/events``: the gate through which every event comes."""

from __future__ import annotations

import json
from collections.abc import Callable

from proxy_addons.events import http_binding
from proxy_addons.events.engine import TooLargeError
from proxy_addons.events.event import InvalidEventError
from proxy_addons.events.http_binding import NotAnEventError, UnsupportedError
from proxy_addons.events.http_message import Request, Response
from proxy_addons.events.log import Appended, Log
from proxy_addons.events.refusal import RefusalError
from proxy_addons.events.writer import StorageError

#: Another broker says who it is, so that it is never sent its own events back.
BROKER_HEADER = b"stores-broker"
#: Seconds after which a publisher should try again: a full disk needs a person, a backlog only time.
_RETRY_BACKLOG, _RETRY_STORAGE = 5, 30

_EXAMPLE = """curl -H 'Content-Type: application/json' -H 'ce-specversion: 1.0' -H 'ce-type: com.example.order.placed' \
-H 'ce-source: /netshop' -H "ce-id: $(date +%%s)-$RANDOM" -d '{"order": 1}' %s"""


class Publishing:
    """Parses, judges and stores. `counts` are for ``/metrics``."""

    def __init__(self, log: Log, most_waiting: int) -> None:
        """`most_waiting`: events that may wait to be delivered, before publishers are told to slow down."""
        self._log = log
        self.most_waiting = most_waiting
        #: The slowest subscription's place: whatever is behind it, everybody has.
        self.delivered: Callable[[], int] = lambda: self._log.last
        self.counts = {"accepted": 0, "duplicates": 0, "refused": 0}

    @property
    def waiting(self) -> int:
        """Events that the slowest subscriber has not had."""
        return self._log.last - self.delivered()

    async def post(self, request: Request) -> Response:
        """202 once every event is durable; else a `RefusalError`, and none of them is."""
        try:
            appended = await self._append(request)
        except RefusalError:
            self.counts["refused"] += 1
            raise
        self.counts["accepted"] += appended.accepted
        self.counts["duplicates"] += appended.duplicates
        body = {"accepted": appended.accepted, "duplicates": appended.duplicates, "seq": appended.seq}
        return Response(202, json.dumps(body).encode() + b"\n", {"Content-Type": "application/json"})

    async def _append(self, request: Request) -> Appended:
        scheme = "https" if request.header(b"x-forwarded-proto") == "https" else "http"  # as the gateway was asked
        url = f"{scheme}://{request.header(b'host')}/v1/events"
        try:
            events = http_binding.parse(request.headers, request.body)
        except InvalidEventError as error:
            detail = f"Event {error.index}: {error.attribute} {error.problem}"
            raise RefusalError(400, detail, attribute=error.attribute, index=error.index) from error
        except UnsupportedError as error:
            raise RefusalError(415, f"{error}. Send one of: {http_binding.ACCEPTED}", _accepted()) from error
        except NotAnEventError as error:
            raise RefusalError(400, f"Not a CloudEvent. {error}", example=_EXAMPLE % url) from error
        waiting = self.waiting
        if waiting + len(events) > self.most_waiting:
            raise RefusalError(
                429,
                f"{waiting} events wait to be delivered, and no more than {self.most_waiting} may. "
                "See which subscriber is behind: stores events show",
                {"Retry-After": str(_RETRY_BACKLOG)},
            )
        try:
            return await self._log.append(events, request.header(BROKER_HEADER))
        except TooLargeError as error:
            raise RefusalError(413, str(error)) from error
        except StorageError as error:
            detail = f"Nothing was acknowledged: {error}. Send it again later: what has come all the same comes once"
            raise RefusalError(503, detail, {"Retry-After": str(_RETRY_STORAGE)}) from error


def _accepted() -> dict[str, str]:
    return {"Accept": http_binding.ACCEPTED, "Accept-Encoding": "identity"}
