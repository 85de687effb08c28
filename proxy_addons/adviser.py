"""Has a service's people told what it has to set: once, however often it answers so."""

from __future__ import annotations

import asyncio
import logging

from procman.errors import StoresError
from proxy_addons.supervisor import Supervisor
from proxy_addons.view import Current

_log = logging.getLogger(__name__)


class Adviser:
    """The supervisor shows the advice in the service's log and in its status, and forgets it with the next start."""

    def __init__(self, current: Current, supervisor: Supervisor) -> None:
        self._current = current
        self._supervisor = supervisor
        self._telling: dict[str, asyncio.Task[None]] = {}

    def advise(self, service: str, advice: str) -> None:
        """Tells it, unless it is known or being told."""
        known = self._current.service(service)
        if known is None or known.advice == advice or service in self._telling:
            return
        task = asyncio.get_running_loop().create_task(self._tell(service, advice))
        self._telling[service] = task
        task.add_done_callback(lambda _: self._telling.pop(service))

    async def _tell(self, service: str, advice: str) -> None:
        try:
            await self._supervisor.advise(service, advice)
        except StoresError as error:
            _log.warning("%s (which cannot be told elsewhere: %s)", advice, error.message)
