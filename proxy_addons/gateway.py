"""The gateway as a whole: the front, and mitmproxy behind it, from the first snapshot to the last request."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from procman.snapshot import ServiceStatus, Snapshot
from proxy_addons.adviser import Adviser
from proxy_addons.authorities import Authorities
from proxy_addons.beside import imported
from proxy_addons.dashboard.door import Door
from proxy_addons.dashboard.onlooker import Onlooker
from proxy_addons.front.certificates import listening_context
from proxy_addons.front.front import Front
from proxy_addons.inspection.inspection import Inspection
from proxy_addons.issuer.issuer import Issuer, Terms
from proxy_addons.sleep.idleness import Idleness, Use
from proxy_addons.supervisor import Supervisor
from proxy_addons.verdict import Verdicts
from proxy_addons.view import Current, View

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

    from proxy_addons.dashboard.dashboard import Dashboard
    from proxy_addons.events.hosting import Hosting
    from proxy_addons.mitm.master import Mitm
    from proxy_addons.mitm.server import StoresServer

_log = logging.getLogger(__name__)

#: Seconds that running requests get to end, once the gateway was told to.
GRACE = 2.0
#: Seconds for the connections to close after that.
_FAREWELL = 0.5
_LOOK_AGAIN = 0.02


@dataclass(frozen=True, slots=True)
class Place:
    """Where this gateway stands: its sockets, its supervisor, its own folder; `events`: the broker's sockets.

    `logs`: where the supervisor keeps what processes write, for the dashboard to read.
    """

    listeners: list[socket.socket]
    control: Path
    state: Path
    answer_timeout: float | None = None
    events: list[socket.socket] = field(default_factory=list)
    logs: Path | None = None


class Gateway:
    """Runs until it is told to stop."""

    def __init__(self, place: Place) -> None:
        self._place = place
        # asked now: while it drains it listens no more, and the supervisor goes on telling
        self._ports = frozenset(listener.getsockname()[1] for listener in place.listeners)
        self._current = Current()
        self._supervisor = Supervisor(place.control)
        self._authorities = Authorities()
        self._verdicts: Verdicts = {}
        self._onlooker = Onlooker()
        self._stop = asyncio.Event()
        self._served = asyncio.Event()
        self._idleness = Idleness(self._current, self._supervisor, self._use_of)
        self._issuer = Issuer(place.state / "issuer", self._terms)
        self._events: Hosting | None = None
        #: What is behind the front: there a second after it.
        self._mitm: asyncio.Future[Mitm] = asyncio.get_running_loop().create_future()
        self._inspection = Inspection(self._server)
        context = listening_context(lambda: self._authorities.authority)
        self._dashboard = Door(self._current, self._make_dashboard)
        takes = self._dashboard.takes
        self._adviser = Adviser(self._current, self._supervisor)
        advise, watched = self._adviser.advise, self._inspection.watched.name_for
        about = (self._current, self._server, self._verdicts, context, place.answer_timeout)
        self._front = Front(*about, takes, advise, watched)
        self._inspection.listeners.add(self._front.view_changed)

    def stop(self) -> None:
        """Asks it to end; for a signal handler."""
        self._stop.set()

    async def run(self) -> None:
        """Serves; returns when `stop` was called and the running requests are done, or their time is over."""
        behind = asyncio.create_task(self._run_mitmproxy())
        watching = asyncio.create_task(self._supervisor.watch(self._told))
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({behind, watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in (behind, watching):
                if task.done():
                    task.result()  # neither ends by itself: what ended it goes up
            await self._drain()
        finally:
            watching.cancel()
            stopping.cancel()
            if self._mitm.done():
                self._mitm.result().shutdown()
            else:
                behind.cancel()
            await asyncio.wait({behind, watching})
            if self._events is not None:
                await self._events.close()

    async def _run_mitmproxy(self) -> None:
        """What takes long to import comes after the first word of the supervisor, and beside the first requests."""
        await self._served.wait()
        hosting = await imported("proxy_addons.events.hosting")
        self._events = hosting.Hosting(self._place.state, self._supervisor, self._place.events)
        await self._events.tell(self._current.view.snapshot)
        module = await imported("proxy_addons.mitm.master")
        chain = await imported("proxy_addons.chain")
        mitm: Mitm = module.Mitm(self._place.state, self._authorities, lambda give_up: self._chain(chain, give_up))
        mitm.told(self._current.view)
        self._mitm.set_result(mitm)
        _settle()
        await mitm.run()

    def _chain(self, module: Any, give_up: Callable[[HTTPFlow], None]) -> list[Any]:
        about = (self._current, self._supervisor, self._verdicts, self._idleness, self._issuer, self._place.state)
        watching = (self._onlooker, self._inspection)
        steps: list[Any] = module.chain(*about, give_up, *watching, self._place.answer_timeout)
        return steps

    def _make_dashboard(self) -> Dashboard:
        from proxy_addons.dashboard.dashboard import Dashboard, Surroundings  # noqa: PLC0415 - 30 ms that only a visitor needs

        place = self._place
        around = Surroundings(
            self._current,
            self._supervisor,
            place.state,
            place.logs,
            self._front.watch,
            self._onlooker,
            lambda: self._events,
            self._inspection,
            self._front.ask_mitmproxy,
        )
        return Dashboard(around)

    def _terms(self) -> Terms:
        snapshot = self._current.view.snapshot
        return Terms.of(snapshot.domain, snapshot.authorizer)

    async def _server(self) -> StoresServer:
        return (await asyncio.shield(self._mitm)).server

    async def _told(self, snapshot: Snapshot) -> None:
        view = View(snapshot, self._ports)
        self._authorities.told(view)
        self._current.tell(view)
        self._front.view_changed()
        self._idleness.told(view)
        if self._mitm.done():
            self._mitm.result().told(view)
        if self._events is not None:
            await self._events.tell(snapshot)
        if not self._served.is_set():
            self._front.serve(self._place.listeners)
            self._served.set()

    async def _drain(self) -> None:
        """Accepts no more, waits until no request runs, or `GRACE` is over, and closes what clients hold open."""
        self._front.stop_accepting()
        self._dashboard.close()
        self._inspection.close()
        mitm = self._mitm.result() if self._mitm.done() else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                while self._front.busy or (mitm and mitm.busy):  # noqa: ASYNC110 - at the end of a life, and nobody tells
                    await asyncio.sleep(_LOOK_AGAIN)
        self._front.close()
        if mitm is None:
            return
        mitm.end_connections()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                while mitm.connected:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(_LOOK_AGAIN)

    def _use_of(self, service: ServiceStatus) -> Use:
        requests, is_open = self._front.use_of(service.port or 0)
        deliveries, awaits = self._events.use_of(service.name) if self._events is not None else (0, False)
        inside = self._mitm.done() and service.name in self._mitm.result().serving()
        return Use(requests + deliveries, is_open or awaits or inside)


def _settle() -> None:
    """What exists now stays: the collector, which `__main__` had stopped, need not look through it again and again."""
    gc.collect()
    gc.freeze()
    gc.enable()
