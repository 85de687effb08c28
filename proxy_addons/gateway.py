"""The gateway as a whole: mitmproxy's master with our chain, from the first snapshot to the last request."""

# mypy: disallow-untyped-calls=False
# mitmproxy is typed in parts only.
from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import proxy_addons.lean_import  # noqa: F401 - before anything of mitmproxy's

# isort: split
from mitmproxy import options
from mitmproxy.addons import proxyserver
from mitmproxy.master import Master

from procman.snapshot import ServiceStatus, Snapshot
from proxy_addons.chain import chain
from proxy_addons.dashboard.dashboard import Dashboard
from proxy_addons.events.hosting import Hosting
from proxy_addons.front.certificates import listening_context
from proxy_addons.front.front import Front
from proxy_addons.idleness import Idleness, Use
from proxy_addons.mitm_server import Connection, Layers, StoresMode, StoresServer
from proxy_addons.supervisor import Supervisor
from proxy_addons.tls import Tls
from proxy_addons.verdict import Verdicts
from proxy_addons.view import Current, View

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

_log = logging.getLogger(__name__)

#: Seconds that running requests get to end, once the gateway was told to.
GRACE = 2.0
#: Seconds for the connections to close after that.
_FAREWELL = 0.5
_LOOK_AGAIN = 0.02


@dataclass(frozen=True, slots=True)
class Place:
    """Where this gateway stands: its sockets, its supervisor, its own folder; `events`: the broker's sockets."""

    listeners: list[socket.socket]
    control: Path
    state: Path
    answer_timeout: float | None = None
    events: list[socket.socket] = field(default_factory=list)


class Gateway:
    """Runs until it is told to stop."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._current = Current()
        self._supervisor = Supervisor(place.control)
        self._layers = Layers()
        self._tls = Tls(place.state)
        self._events = Hosting(place.state, self._supervisor, place.events)
        self._stop = asyncio.Event()
        self._proxy = proxyserver.Proxyserver()
        self._master = Master(options.Options(confdir=str(place.state)), event_loop=asyncio.get_running_loop())
        verdicts: Verdicts = {}
        self._idleness = Idleness(self._supervisor, self._use_of)
        steps = chain(self._current, self._supervisor, verdicts, self._idleness, self._give_up, place.answer_timeout)
        self._master.addons.add(self._proxy, self._layers, self._tls, *steps)
        # server: mitmproxy shall open no port of its own; ours come with the first snapshot
        self._master.options.update(server=False, connection_strategy="lazy")
        server = StoresServer(StoresMode.parse("stores"), self._proxy)
        context = listening_context(lambda: self._tls.authority)
        self._dashboard = Dashboard(self._current, self._supervisor, place.state)
        takes = self._dashboard.takes
        self._front = Front(self._current, server, verdicts, context, place.answer_timeout, takes)

    def stop(self) -> None:
        """Asks it to end; for a signal handler."""
        self._stop.set()

    async def run(self) -> None:
        """Serves; returns when `stop` was called and the running requests are done, or their time is over."""
        master = asyncio.create_task(self._master.run())
        watching = asyncio.create_task(self._supervisor.watch(self._told))
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({master, watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in (master, watching):
                if task.done():
                    task.result()  # neither ends by itself: what ended it goes up
            await self._drain()
        finally:
            watching.cancel()
            stopping.cancel()
            self._master.shutdown()
            await asyncio.wait({master, watching})
            await self._events.close()

    async def _told(self, snapshot: Snapshot) -> None:
        ports = frozenset(listener.getsockname()[1] for listener in self._place.listeners)
        view = View(snapshot, ports)
        self._tls.told(view)
        first = not hasattr(self._current, "view")
        self._current.tell(view)
        self._front.view_changed()
        self._idleness.told(view)
        await self._events.tell(snapshot)
        if first:
            self._front.serve(self._place.listeners)
            # What exists now stays: the collector need not look through it again and again.
            gc.collect()
            gc.freeze()

    async def _drain(self) -> None:
        """Accepts no more, waits until no request runs, or `GRACE` is over, and closes what clients hold open."""
        self._front.stop_accepting()
        self._dashboard.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                while self._front.busy or self._layers.busy:  # noqa: ASYNC110 - at the end of a life, and nobody tells
                    await asyncio.sleep(_LOOK_AGAIN)
        self._front.close()
        for connection in list(self._proxy.connections.values()):
            if isinstance(connection, Connection):
                connection.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                while self._proxy.connections:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(_LOOK_AGAIN)

    def _use_of(self, service: ServiceStatus) -> Use:
        requests, is_open = self._front.use_of(service.port or 0)
        return Use(requests, is_open or service.name in self._layers.serving())

    def _give_up(self, flow: HTTPFlow) -> None:
        handler = self._proxy.connections.get(flow.client_conn.id)
        if handler is not None and flow.server_conn in handler.transports:
            handler.close_connection(flow.server_conn)
