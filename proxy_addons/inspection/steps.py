"""The two steps of the chain by which a request is recorded: as it comes in, and as it goes out on either side.

They are always there, and cost a look at an attribute while nothing is inspected. A fault in them is logged, and the
request goes on: it needs nothing of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy_addons.decision import decision_of
from proxy_addons.fallback import button

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

    from proxy_addons.inspection.inspection import Inspection
    from proxy_addons.inspection.record import Record

_KEY = "stores.record"


class Arrival:
    """Before any addon has changed the request."""

    def __init__(self, inspection: Inspection) -> None:
        self._inspection = inspection

    def requestheaders(self, flow: HTTPFlow) -> None:
        """After the routing, which says whose request it is."""
        recorder, decision = self._inspection.recorder, decision_of(flow)
        if recorder is not None and decision is not None and not flow.request.path.startswith(button.RESERVED):
            recorder.begin(flow, decision)


class Departure:
    """After all addons have changed what they change."""

    def __init__(self, inspection: Inspection) -> None:
        self._inspection = inspection

    def requestheaders(self, flow: HTTPFlow) -> None:
        """What the service is sent."""
        if self._inspection.recorder is not None:
            self._inspection.recorder.passes(flow)

    def request(self, flow: HTTPFlow) -> None:
        """The request is complete."""
        recorder, record = self._inspection.recorder, _record(flow)
        if recorder is not None and record is not None:
            recorder.asked(flow, record)

    def responseheaders(self, flow: HTTPFlow) -> None:
        """What the client is told."""
        recorder, record = self._inspection.recorder, _record(flow)
        if recorder is not None and record is not None and flow.response is not None:
            recorder.answers(flow, record, flow.response)

    def response(self, flow: HTTPFlow) -> None:
        """The answer is complete."""
        recorder, record = self._inspection.recorder, _record(flow)
        if recorder is not None and record is not None:
            recorder.ended(flow, record)

    def error(self, flow: HTTPFlow) -> None:
        """There will be no more of it."""
        recorder, record = self._inspection.recorder, _record(flow)
        if recorder is not None and record is not None:
            recorder.breaks(flow, record)

    def websocket_message(self, flow: HTTPFlow) -> None:
        """The newest of its messages."""
        recorder, record = self._inspection.recorder, _record(flow)
        if recorder is not None and record is not None:
            recorder.says(flow, record)

    def websocket_end(self, flow: HTTPFlow) -> None:
        """It is over."""
        recorder, record = self._inspection.recorder, _record(flow)
        if recorder is not None and record is not None:
            recorder.closes(flow, record)


def _record(flow: HTTPFlow) -> Record | None:
    record: Record | None = flow.metadata.get(_KEY)
    return record
