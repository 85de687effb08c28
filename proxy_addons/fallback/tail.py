"""What a page that is open is told while it is open: the service's state and its output, as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Final

from procman.errors import StoresError
from procman.routes import Route
from proxy_addons.fallback import ansi
from proxy_addons.supervisor import Supervisor
from proxy_addons.view import Current

#: Lines of output that a page begins with, and characters of one line that it shows.
LINES: Final = 50
LONGEST: Final = 400
#: Seconds of silence before a comment is sent: a connection whose client is gone is noticed by writing only.
_SILENCE: Final = 15.0
#: Events that may wait for a slow reader. A service that floods its log leaves some of it out here.
_WAITING: Final = 1000


class Tail:
    """One page's events, from its first `next` to its `close`."""

    def __init__(self, current: Current, supervisor: Supervisor, service: str) -> None:
        self._current = current
        self._supervisor = supervisor
        self._service = service
        self._events: asyncio.Queue[bytes] = asyncio.Queue(_WAITING)
        self._tasks = [asyncio.create_task(work) for work in (self._states(), self._output())]

    async def next(self) -> bytes:
        """All that is there, once there is something; a comment after a while of silence."""
        try:
            async with asyncio.timeout(_SILENCE):
                chunk = await self._events.get()
        except TimeoutError:
            return b":\n\n"
        while not self._events.empty():
            chunk += self._events.get_nowait()
        return chunk

    async def close(self) -> None:
        """Ends it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _states(self) -> None:
        told = None
        while True:
            service = self._current.service(self._service)
            state = {"state": service.state, "answers": service.route is Route.LOCAL} if service else {"state": "gone"}
            if state != told:
                told = state
                self._put("state", state)
                continue  # nothing was awaited, so nothing was missed
            await self._current.next()

    async def _output(self) -> None:
        """New lines are followed before the old ones are asked for, so that none is lost between the two."""
        with contextlib.suppress(StoresError):
            async with contextlib.aclosing(self._supervisor.follow(self._service)) as batches:
                async for batch in batches:
                    if not batch:
                        self._put("begin", None)
                        batch = await self._supervisor.logs(self._service, LINES)  # noqa: PLW2901 - see above
                    if batch:
                        self._put("log", [as_spans(*line) for line in batch])

    def _put(self, event: str, data: object) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._events.put_nowait(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())


def as_spans(process: str, text: str) -> list[tuple[str, str]]:
    """One line for the page: text and class names, beginning with the process's name where it is not the usual one."""
    shown, room = [], LONGEST
    if process not in {"", "web"}:
        shown.append((f"{process}  ", "dim"))
    for span in ansi.spans(text):
        if room <= 0:
            shown.append(("…", "dim"))
            break
        shown.append((span.text[:room], span.style))
        room -= len(span.text)
    return shown
