"""The dashboard as a whole: asked by the front before mitmproxy is, for what is asked under its own two names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy_addons.dashboard import openapi
from proxy_addons.dashboard.admission import Admission
from proxy_addons.dashboard.api import Api
from proxy_addons.dashboard.findings import Doctor
from proxy_addons.dashboard.guard import Guard
from proxy_addons.dashboard.logs import SEARCH, TARGETS, Logs
from proxy_addons.dashboard.message import Request, Response
from proxy_addons.dashboard.metrics import Metrics
from proxy_addons.dashboard.services import Services
from proxy_addons.dashboard.session import Sessions
from proxy_addons.dashboard.static_files import StaticFiles
from proxy_addons.dashboard.stream import Stream
from proxy_addons.dashboard.visitor import Visitor
from proxy_addons.supervisor import Supervisor
from proxy_addons.view import LOCALHOST, Current

if TYPE_CHECKING:
    from proxy_addons.front.exchange import Asker
    from proxy_addons.front.exchange import Request as FrontRequest

#: Its host below the domain, and below ``localhost``. No service can have it (`procman.conflicts`).
NAME: Final = "stores"


class Dashboard:
    """`takes` a request, or does not. Costs nothing but its memory while nobody looks."""

    def __init__(self, current: Current, supervisor: Supervisor, state: Path, logs: Path | None) -> None:
        """`state`: the gateway's folder, where the token is kept; `logs`: the supervisor's."""
        self._current = current
        sessions = Sessions(state)
        self._guard = Guard(sessions)
        self._files = StaticFiles()
        services = Services(current, supervisor)
        written, doctor = Logs(current, supervisor, logs), Doctor(current)
        topics = {
            "services": services.follow,
            "metrics": Metrics(current).follow,
            "logs": written.follow,
            "findings": doctor.follow,
        }
        stream = Stream(topics, {"targets": TARGETS, "q": SEARCH})
        admission = Admission(sessions, lambda: openapi.document(self.api.operations))
        parts = (admission, services, written, doctor, stream)
        self.api = Api(self._guard, [row for part in parts for row in part.operations()])
        self._visitors: set[Visitor] = set()

    def takes(self, request: FrontRequest, asker: Asker, data: bytes, ended: bool) -> bool:  # noqa: FBT001 - as in `Exchange.send`
        """Whether it is asked here: then it answers."""
        if request.host is None or request.target[:1] != b"/" or request.upgrade:
            return False
        host = request.host.lower().partition(b":")[0].removesuffix(b".")
        if host not in {f"{NAME}.{self._current.view.snapshot.domain}".encode(), f"{NAME}.{LOCALHOST}".encode()}:
            return False
        visitor = Visitor(request, asker, self._answer)
        self._visitors.add(visitor)
        visitor.on_end = self._visitors.discard
        visitor.send(data, ended)
        return True

    async def _answer(self, request: Request) -> Response:
        if request.path.startswith("/api/"):
            return await self.api.answer(request)
        self._guard.check_place(request)
        return self._files.answer(request)

    def close(self) -> None:
        """The gateway ends: streams do, too, so that a restart need not wait for them."""
        for visitor in list(self._visitors):
            visitor.end()
