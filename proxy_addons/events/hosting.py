"""The broker inside the gateway's process: opened with the first snapshot, told of every later one."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from procman.errors import StoresError
from procman.event_settings import shown
from procman.routes import Route
from procman.settings import ConnectTo
from procman.snapshot import ServiceStatus, Snapshot
from proxy_addons.events.address import Address
from proxy_addons.events.broker import Broker, Limits, Surroundings
from proxy_addons.events.http_connection import Place
from proxy_addons.events.http_message import Request, Response
from proxy_addons.events.refusal import RefusalError
from proxy_addons.events.remote import Remote
from proxy_addons.events.sender import Subscriber
from proxy_addons.events.trust import Trust
from proxy_addons.events.writer import StorageError
from proxy_addons.site import Site
from proxy_addons.supervisor import Supervisor

_log = logging.getLogger(__name__)

FILE = "events.sqlite3"
#: Seconds between two attempts to open a log that could not be opened: the first, and the longest.
_FIRST_PAUSE, _LAST_PAUSE = 0.5, 30.0
_AWAY = "Start it, or see [events] engine in stores.toml; it is tried again by itself"
_LOOPBACK = ("127.0.0.1", "::1")


class Hosting:
    """`tell` it of snapshots; `close` it at the end. What fails here is answered with 503, and nothing else suffers."""

    def __init__(self, folder: Path, supervisor: Supervisor, listeners: list[socket.socket]) -> None:
        """`folder`: where the events are kept. Without `listeners` the port that the supervisor tells is bound here."""
        self._folder = folder
        self._supervisor = supervisor
        self._address = Address(self._answer, listeners)
        self._newest: asyncio.Queue[Snapshot] = asyncio.Queue()
        self._told: Snapshot | None = None
        self._lost = False
        self._broker: Broker | None = None
        #: Why there is no broker; `_settled` once that, or the broker, is known.
        self._refused = StoresError("The event broker ends", "")
        self._settled = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._following = False

    async def tell(self, snapshot: Snapshot) -> None:
        """The newest state of things. Once the first call has returned, publishers can connect."""
        self._told = snapshot
        self._newest.put_nowait(snapshot)
        await self._address.be_at(snapshot.events.port or 0)
        if not self._following and self._address.port:
            self._following = True
            self._background(self._follow())

    async def ask(self, request: Request) -> Response:
        """The broker's answer, for who asks in the same process. Raises `RefusalError`."""
        return await self._answer(request)

    def use_of(self, service: str) -> tuple[int, bool]:
        """How many deliveries a service had, and whether it has or awaits one: what uses it does not let it sleep."""
        lane = self._broker.subscriptions.lanes.get(service) if self._broker else None
        return lane.uses if lane is not None else (0, False)

    async def close(self) -> None:
        """Accepts no more; what was accepted is on the disk."""
        for task in self._tasks:
            task.cancel()
        await self._address.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._close_broker()

    async def _follow(self) -> None:
        """Opens the broker, anew for another log alone, and again and again while it cannot be opened."""
        before: Snapshot | None = None
        pause: float | None = None
        snapshot = await self._newest.get()
        while True:
            if self._broker and before and not self._lost and _log_of(before) == _log_of(snapshot):
                await _adjust(self._broker, before, snapshot)
            else:
                await self._close_broker()
                self._lost = False
                pause = None if await self._opened(snapshot) else min((pause or _FIRST_PAUSE / 2) * 2, _LAST_PAUSE)
            if self._broker:
                await self._broker.follow(subscribers(snapshot))
            before = snapshot
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    snapshot = await self._newest.get()
            while not self._newest.empty():
                snapshot = self._newest.get_nowait()

    async def _opened(self, snapshot: Snapshot) -> bool:
        """Whether it could be opened now. If not, whoever asks is told why."""
        try:
            self._broker = await self._open(snapshot)
        except (StoresError, StorageError) as error:
            known = error if isinstance(error, StoresError) else StoresError(str(error), _AWAY)
            if str(known) != str(self._refused):
                _log.error("No events: %s. %s", known.message, known.hint)
            self._refused = known
        self._settled.set()
        return self._broker is not None

    async def _open(self, snapshot: Snapshot) -> Broker:
        engine = snapshot.events.engine
        around = Surroundings((snapshot.domain, "localhost"), self._start, self._lose, remote=remote_of(snapshot))
        return await Broker.open(file_of(engine, self._folder), _limits(snapshot), around, engine)

    def _lose(self) -> None:
        """The server of the log has another one: it is opened anew, as it would be after a restart."""
        if not self._lost and self._told:
            self._lost = True
            self._newest.put_nowait(self._told)

    async def _close_broker(self) -> None:
        """Publishers that come meanwhile wait for the next one."""
        broker, self._broker = self._broker, None
        if broker:
            self._settled.clear()
            await broker.close()

    async def _answer(self, request: Request) -> Response:
        await self._settled.wait()
        if self._broker is None:
            error = self._refused
            raise RefusalError(503, f"{error.message}. {error.hint}", {"Retry-After": "30"})
        return await self._broker.answer(request)

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


async def _adjust(broker: Broker, before: Snapshot, now: Snapshot) -> None:
    """What a broker takes while it runs: other limits, and another remote. Nothing else is interrupted by either."""
    if _limits(before) != _limits(now):
        broker.limit(_limits(now))
    if _link_of(before) != _link_of(now):
        await broker.link.connect(remote_of(now))


def _log_of(snapshot: Snapshot) -> object:
    return snapshot.events.engine, snapshot.domain


def _link_of(snapshot: Snapshot) -> object:
    """All that `remote_of` makes a remote of."""
    settings = snapshot.events
    return settings.remote, settings.forward, settings.receive, snapshot.remote.connect_to, snapshot.remote.ca


def _limits(snapshot: Snapshot) -> Limits:
    return Limits(snapshot.events.max_age, snapshot.events.max_bytes, snapshot.events.backlog)


def file_of(engine: str, folder: Path) -> Path:
    """Where the broker keeps what is its own: cursors and dead letters, and the events where no server has them.

    Each server and stream has a file of its own: the places of one say nothing about another.
    """
    if urlsplit(engine).scheme == "sqlite":
        return Path(engine.removeprefix("sqlite:///"))
    if not engine:
        return folder / FILE
    return folder / f"events-{hashlib.blake2b(shown(engine).encode(), digest_size=6).hexdigest()}.sqlite3"


def remote_of(snapshot: Snapshot) -> Remote | None:
    """The remote broker that stores.toml names, reached as every remote is: by ``connect_to``, trusting its CA too."""
    settings = snapshot.events
    if not settings.remote:
        return None
    site = Site.parse(settings.remote)
    rules = (ConnectTo.parse(rule).target(site.host, site.port) for rule in snapshot.remote.connect_to)
    host, port = next((target for target in rules if target), (site.host, site.port))
    trust = Trust(snapshot.remote.ca) if site.scheme == "https" else None
    place = Place(((host.strip("[]"), port),), site.host if trust else None, trust)
    token = os.environ.get("STORES_EVENTS_TOKEN", "").strip()
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
