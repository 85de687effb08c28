"""The dashboard as a whole: its parts, their rows in the API's table, their topics on the stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from proxy_addons.dashboard import openapi
from proxy_addons.dashboard.admission import Admission
from proxy_addons.dashboard.api import Api
from proxy_addons.dashboard.events import Events
from proxy_addons.dashboard.findings import Doctor
from proxy_addons.dashboard.guard import Guard
from proxy_addons.dashboard.identities import Identities
from proxy_addons.dashboard.inspecting import Inspecting
from proxy_addons.dashboard.inspection_rows import FILTER, INSPECTED
from proxy_addons.dashboard.logs import SEARCH, TARGETS, Logs
from proxy_addons.dashboard.message import Request, Response
from proxy_addons.dashboard.metrics import Metrics
from proxy_addons.dashboard.onlooker import Onlooker
from proxy_addons.dashboard.services import Services
from proxy_addons.dashboard.session import Sessions
from proxy_addons.dashboard.static_files import StaticFiles
from proxy_addons.dashboard.stream import Stream
from proxy_addons.dashboard.timeline import Timeline
from proxy_addons.dashboard.traffic import Traffic, Watch
from proxy_addons.dashboard.visitor import Visitor
from proxy_addons.inspection.inspection import Inspection
from proxy_addons.supervisor import Supervisor
from proxy_addons.view import Current

if TYPE_CHECKING:
    from proxy_addons.events.hosting import Hosting
    from proxy_addons.front.exchange import Asker
    from proxy_addons.front.exchange import Request as FrontRequest
    from proxy_addons.inspection.replay import Ask


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the dashboard shows and steers.

    `state`: the gateway's folder, where the token is kept; `logs`: the supervisor's; `watch`: the front's;
    `onlooker`: what the addons know of us; `hosting`: the event broker, once it is loaded; `ask`: the way to
    mitmproxy, for a request that is sent again.
    """

    current: Current
    supervisor: Supervisor
    state: Path
    logs: Path | None
    watch: Watch
    onlooker: Onlooker
    hosting: Callable[[], Hosting | None]
    inspection: Inspection
    ask: Ask


class Dashboard:
    """Does nothing of itself: what nobody listens to is neither measured nor noted."""

    def __init__(self, around: Surroundings) -> None:
        """Raises ``OSError`` where the token cannot be kept."""
        current = around.current
        sessions = Sessions(around.state)
        self._guard = Guard(sessions)
        self._files = StaticFiles()
        self._visitors: set[Visitor] = set()
        self._timeline = Timeline(current)
        services, doctor = Services(current, around.supervisor), Doctor(current)
        logs = Logs(current, around.supervisor, around.logs)
        traffic, events = Traffic(current, around.watch, around.onlooker), Events(around.hosting)
        inspecting = Inspecting(around.inspection, current, around.ask)
        topics = {
            "services": services.follow,
            "metrics": Metrics(current).follow,
            "states": self._timeline.follow,
            "logs": logs.follow,
            "traffic": traffic.follow,
            "events": events.follow,
            "findings": doctor.follow,
            "inspection": inspecting.follow,
        }
        stream = Stream(topics, {"targets": TARGETS, "q": SEARCH, "inspected": INSPECTED, "filter": FILTER})
        admission = Admission(sessions, lambda: openapi.document(self.api.operations))
        identities = Identities(current, around.state / "authorizer.json")
        parts = (admission, services, logs, traffic, events, identities, doctor, inspecting, stream)
        self.api = Api(self._guard, [row for part in parts for row in part.operations()])

    def visit(self, request: FrontRequest, asker: Asker, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Exchange.send`
        """Answers a request to one of its names."""
        visitor = Visitor(request, asker, self._answer)
        self._visitors.add(visitor)
        visitor.on_end = self._visitors.discard
        visitor.send(data, ended)

    async def _answer(self, request: Request) -> Response:
        if request.path.startswith("/api/"):
            return await self.api.answer(request)
        self._guard.check_place(request)
        return self._files.answer(request)

    def close(self) -> None:
        """The gateway ends: streams do, too, so that a restart need not wait for them."""
        self._timeline.close()
        for visitor in list(self._visitors):
            visitor.end()
