"""Lets services that nobody uses go to sleep (``idle = "15m"``)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from procman.errors import StoresError
from procman.snapshot import ServiceStatus
from procman.state import State
from proxy_addons.decision import decision_of
from proxy_addons.supervisor import Supervisor
from proxy_addons.view import Current, View

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

_log = logging.getLogger(__name__)

#: How often in its time a service is looked at. It may sleep later than it said by one such part, and never earlier.
_PARTS: Final = 4
#: Seconds in which the snapshot that tells of an end comes, usually before the answer.
_PATIENCE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Use:
    """How many requests a service has had, and whether one is open: a WebSocket and an event stream are, too."""

    requests: int
    open: bool


@dataclass(slots=True)
class _Watched:
    idle: float
    timer: asyncio.TimerHandle
    since: float
    seen: Use


class Idleness:
    """One timer for each service that runs and has an `idle`; none without."""

    def __init__(self, current: Current, supervisor: Supervisor, use_of: Callable[[ServiceStatus], Use]) -> None:
        """`use_of` counts what passes outside of mitmproxy, and what is open anywhere."""
        self._current = current
        self._supervisor = supervisor
        self._use_of = use_of
        self._requests: dict[str, int] = {}
        self._watched: dict[str, _Watched] = {}
        self._view: View | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def requestheaders(self, flow: HTTPFlow) -> None:
        """A request is use, wherever it goes from here."""
        decision = decision_of(flow)
        if decision is not None and decision.service is not None:
            name = decision.service.name
            self._requests[name] = self._requests.get(name, 0) + 1

    def told(self, view: View) -> None:
        """Begins to watch what has become ready, and forgets what runs no more."""
        self._view = view
        running = {
            name: service for name, service in view.services.items() if service.idle and service.state is State.READY
        }
        for name in [name for name in self._watched if name not in running]:
            self._watched.pop(name).timer.cancel()
        for name, service in running.items():
            known = self._watched.get(name)
            if known is not None and known.idle == service.idle:
                continue
            if known is not None:
                known.timer.cancel()
            loop = asyncio.get_running_loop()
            timer = loop.call_later(service.idle / _PARTS, self._look, name)
            self._watched[name] = _Watched(service.idle, timer, loop.time(), self._use(service))

    def _use(self, service: ServiceStatus) -> Use:
        elsewhere = self._use_of(service)
        return Use(elsewhere.requests + self._requests.get(service.name, 0), elsewhere.open)

    def _look(self, name: str) -> None:
        watched, service = self._watched[name], self._view.services[name] if self._view else None
        if service is None:
            return
        loop = asyncio.get_running_loop()
        use = self._use(service)
        if use != watched.seen or use.open:  # or was open when it was looked at last
            watched.since, watched.seen = loop.time(), use
        left = watched.since + watched.idle - loop.time()
        if left > 0:
            watched.timer = loop.call_later(min(left, watched.idle / _PARTS), self._look, name)
            return
        self._current.falling_asleep.add(name)  # in the same moment in which nobody uses it
        task = loop.create_task(self._sleep(name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _sleep(self, name: str) -> None:
        try:
            stays = await self._supervisor.sleep(name)
            if not stays:
                await self._told_of_its_end(name)
        except StoresError as error:
            stays = error.message
        finally:
            self._current.falling_asleep.discard(name)
            self._current.stir()
        watched = self._watched.get(name)
        if stays and watched is not None:  # asked again after another while
            _log.debug("%s stays awake: %s", name, stays)
            loop = asyncio.get_running_loop()
            watched.since = loop.time()
            watched.timer = loop.call_later(watched.idle, self._look, name)

    async def _told_of_its_end(self, name: str) -> None:
        """The supervisor's answer and its next snapshot come by two ways."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while (service := self._current.service(name)) is not None and service.state is State.READY:
                    await self._current.next()
