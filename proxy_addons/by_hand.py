"""Finds a service that somebody started by hand (in an IDE, in another terminal) before it is said not to run here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from procman.errors import StoresError
from procman.routes import Route
from procman.snapshot import ServiceStatus
from procman.state import State
from proxy_addons.decision import decide, decision_of
from proxy_addons.supervisor import Supervisor
from proxy_addons.view import Current

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

#: Where it may be that somebody else runs it: the supervisor looks at no other (`procman.supervisor.external`).
_MAYBE: Final = frozenset({State.STOPPED, State.FAILED, State.EXITED})
#: Seconds between two looks at one service. A look is a question over the control socket and two system calls.
PAUSE: Final = 1.0
#: Seconds for the supervisor's next word, once it has found somebody.
_PATIENCE: Final = 1.0


class ByHand:
    """Asks the supervisor to look, when a request for a service comes that does not run: no request, no look."""

    def __init__(self, current: Current, supervisor: Supervisor, clock: Callable[[], float]) -> None:
        self._current = current
        self._supervisor = supervisor
        self._clock = clock
        self._looks: dict[str, tuple[float, asyncio.Task[bool]]] = {}

    async def requestheaders(self, flow: HTTPFlow) -> None:
        """After the routing, whose decision may be another one then. What is answered here already stays so."""
        decision = decision_of(flow)
        if decision is None or decision.service is None or flow.response is not None:
            return
        if decision.route is Route.LOCAL or decision.service.state not in _MAYBE:
            return
        if await self._found(decision.service):
            decide(flow, self._current.view.again(decision))

    async def _found(self, service: ServiceStatus) -> bool:
        """All who ask in the same moment wait for one look; who asks soon after it waits for none."""
        looked, look = self._looks.get(service.name, (0.0, None))
        if look is None or (look.done() and self._clock() - looked >= PAUSE):
            look = asyncio.get_running_loop().create_task(self._look(service.name))
            self._looks[service.name] = (self._clock(), look)
        return await asyncio.shield(look)

    async def _look(self, name: str) -> bool:
        try:
            if not await self._supervisor.runs_outside(name):
                return False
            async with asyncio.timeout(_PATIENCE):
                while not self._runs(name):
                    await self._current.next()
        except (StoresError, TimeoutError):
            return False  # then it is as it was said last
        return True

    def _runs(self, name: str) -> bool:
        service = self._current.service(name)
        return service is not None and service.state is State.EXTERNAL
