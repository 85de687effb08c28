"""The broker inside the gateway's process: opened with the first snapshot, told of every later one."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from procman.errors import StoresError
from procman.routes import Route
from procman.settings import ConnectTo
from procman.snapshot import ServiceStatus, Snapshot
from proxy_addons.events.broker import Broker, Limits, Surroundings
from proxy_addons.events.http_client import Place
from proxy_addons.events.http_server import HttpServer, Request, Response
from proxy_addons.events.loopback import listen
from proxy_addons.events.refusal import RefusalError
from proxy_addons.events.remote import Remote
from proxy_addons.events.sender import Subscriber
from proxy_addons.site import Site
from proxy_addons.supervisor import Supervisor

_log = logging.getLogger(__name__)

FILE = "events.sqlite3"
_LOOPBACK = ("127.0.0.1", "::1")


class Hosting:
    """`tell` it of snapshots; `close` it at the end. What fails here is answered with 503, and nothing else suffers."""

    def __init__(self, folder: Path, supervisor: Supervisor, listeners: list[socket.socket]) -> None:
        """`folder`: where the events are kept. Without `listeners` the port that the supervisor tells is bound here."""
        self._listeners = listeners
        self._folder = folder
        self._supervisor = supervisor
        self._server = HttpServer(self._answer)
        self._newest: asyncio.Queue[Snapshot] = asyncio.Queue()
        self._opened: asyncio.Future[Broker] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._listening = False

    async def tell(self, snapshot: Snapshot) -> None:
        """The newest state of things. Once the first call has returned, publishers can connect."""
        self._newest.put_nowait(snapshot)
        if not self._listening:
            self._listening = True
            await self._listen(snapshot)

    async def _listen(self, snapshot: Snapshot) -> None:
        if not snapshot.events.port:
            return
        try:
            await self._server.serve(self._listeners or listen(snapshot.events.port))
        except OSError as error:
            _log.error("No events: port %d: %s. Another one: STORES_EVENTS_PORT", snapshot.events.port, error.strerror)
        else:
            self._background(self._follow())

    async def ask(self, request: Request) -> Response:
        """The broker's answer, for who asks in the same process. Raises `RefusalError`."""
        return await self._answer(request)

    def use_of(self, service: str) -> tuple[int, bool]:
        """How many deliveries a service had, and whether it has or awaits one: what uses it does not let it sleep."""
        if not self._opened.done() or self._opened.cancelled() or self._opened.exception():
            return 0, False
        lane = self._opened.result().subscriptions.lanes.get(service)
        return lane.uses if lane is not None else (0, False)

    async def close(self) -> None:
        """Accepts no more; what was accepted is on the disk."""
        for task in self._tasks:
            task.cancel()
        await self._server.close()
        if self._opened.done() and not self._opened.cancelled() and not self._opened.exception():
            await self._opened.result().close()

    async def _follow(self) -> None:
        snapshot = await self._newest.get()
        try:
            broker = await self._open(snapshot)
        except StoresError as error:
            _log.error("No events: %s. %s", error.message, error.hint)
            self._opened.set_exception(error)
            self._opened.exception()  # whoever asks is told; nobody may ask
            return
        self._opened.set_result(broker)
        while True:
            await broker.follow(subscribers(snapshot))
            snapshot = await self._newest.get()
            while not self._newest.empty():
                snapshot = self._newest.get_nowait()

    async def _open(self, snapshot: Snapshot) -> Broker:
        settings = snapshot.events
        limits = Limits(settings.max_age, settings.max_bytes, settings.backlog)
        around = Surroundings((snapshot.domain, "localhost"), self._start, remote=remote_of(snapshot))
        return await Broker.open(self._folder / FILE, limits, around)

    async def _answer(self, request: Request) -> Response:
        try:
            broker = await asyncio.shield(self._opened)
        except StoresError as error:
            raise RefusalError(503, f"{error.message}. {error.hint}", {"Retry-After": "30"}) from error
        return await broker.answer(request)

    def _start(self, service: str) -> None:
        self._background(self._ask_for(service))

    async def _ask_for(self, service: str) -> None:
        try:
            await self._supervisor.start(service)
        except StoresError as error:
            _log.warning("Events wait for %s, which could not be started: %s", service, error.message)

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("A fault of the event broker itself", exc_info=error)


def remote_of(snapshot: Snapshot) -> Remote | None:
    """The remote broker that stores.toml names, reached as every remote is: by ``connect_to``, trusting its CA too.

    Raises `StoresError` where that CA cannot be read.
    """
    settings = snapshot.events
    if not settings.remote:
        return None
    site = Site.parse(settings.remote)
    rules = (ConnectTo.parse(rule).target(site.host, site.port) for rule in snapshot.remote.connect_to)
    host, port = next((target for target in rules if target), (site.host, site.port))
    context = None
    if site.scheme == "https":
        context = ssl.create_default_context()
        try:
            if snapshot.remote.ca:
                context.load_verify_locations(snapshot.remote.ca)
        except (OSError, ssl.SSLError) as error:
            raise StoresError(f"{snapshot.remote.ca}: {error}", "[remote] ca in stores.toml names it") from error
    place = Place(((host.strip("[]"), port),), site.host if context else None, context)
    token = os.environ.get("STORES_EVENTS_TOKEN", "")
    return Remote(settings.remote, place, settings.forward, settings.receive, token)


def subscribers(snapshot: Snapshot) -> list[Subscriber]:
    """The services that subscribe, with where they listen, if they run here."""
    return [found for service in snapshot.services if (found := _subscriber(service, snapshot.domain)) is not None]


def _subscriber(service: ServiceStatus, domain: str) -> Subscriber | None:
    if service.subscription is None:
        return None
    host = next((host for host in service.hosts if not host.startswith("*.")), service.name)
    here = service.route is Route.LOCAL and service.port
    addresses = tuple((address, service.port) for address in _LOOPBACK if service.port) if here else ()
    return Subscriber(service.name, service.subscription, f"{host}.{domain}", addresses)
