"""What everything costs, measured by a process that lives only while somebody looks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import time
from typing import Any, Final

from proxy_addons.dashboard.latest import Latest
from proxy_addons.dashboard.message import Request
from proxy_addons.dashboard.stream import Say
from proxy_addons.view import Current

_log = logging.getLogger(__name__)

_METER: Final = (sys.executable, "-P", "-m", "procman.machine.cost_stream")
#: A line for some hundreds of processes.
_LONGEST_LINE: Final = 1024 * 1024


class Metrics:
    """One meter for all who look."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._latest: Latest[dict[str, Any]] = Latest()
        self._looking = 0
        self._measuring: asyncio.Task[None] | None = None

    async def follow(self, say: Say, _: Request) -> None:
        """``metrics``, every two seconds."""
        self._looking += 1
        if self._measuring is None or self._measuring.done():
            self._latest = Latest()
            self._measuring = asyncio.create_task(self._measure())
        try:
            number = 0
            while True:
                number, costs = await self._latest.newer(number)
                await say("metrics", costs)
        finally:
            self._looking -= 1
            if not self._looking:
                self._measuring.cancel()

    async def _measure(self) -> None:
        pipe = asyncio.subprocess.PIPE
        meter = await asyncio.create_subprocess_exec(*_METER, stdin=pipe, stdout=pipe, limit=_LONGEST_LINE)
        assert meter.stdin is not None
        assert meter.stdout is not None
        naming = asyncio.create_task(self._name(meter.stdin))
        try:
            while line := await meter.stdout.readline():
                self._latest.tell({"at": round(time.time(), 3), "costs": json.loads(line)})
            _log.error("What measures the costs has ended: %s", " ".join(_METER))
        finally:
            naming.cancel()
            meter.stdin.close()
            with contextlib.suppress(ProcessLookupError):
                meter.kill()
            await asyncio.shield(meter.wait())

    async def _name(self, stdin: asyncio.StreamWriter) -> None:
        """Tells it what there is to be measured, now and whenever that changes."""
        told = None
        while True:
            view = self._current.view
            mains = view.snapshot.mains()
            if mains != told:
                stdin.write(json.dumps(mains).encode() + b"\n")
                told = mains
            if view is self._current.view:
                await self._current.next()
