"""``GET /stream``: one stream of server-sent events for all that changes; who listens says which topics he wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

from procman.errors import StoresError
from proxy_addons.dashboard import schema
from proxy_addons.dashboard.message import Request, Response
from proxy_addons.dashboard.operation import Operation
from proxy_addons.events.refusal import RefusalError

#: Tells one event: its name and its data. Waits while the listener is behind, so that nothing piles up for him.
Say = Callable[[str, Any], Awaitable[None]]
#: Tells of changes until it is cancelled.
Topic = Callable[[Say, Request], Coroutine[Any, Any, None]]

#: Events that may wait for a listener, and seconds between two signs of life.
_WAITING: Final = 64
_HEARTBEAT: Final = 15.0
#: Seconds until a topic that failed is begun anew.
_AGAIN: Final = 1.0
_FIELDS: Final = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Stream:
    """Each topic is a coroutine that runs while somebody listens to it, and costs nothing while nobody does."""

    def __init__(self, topics: Mapping[str, Topic], parameters: Mapping[str, schema.Schema]) -> None:
        """`parameters`: what topics want to know beside."""
        self._topics = topics
        self._parameters = parameters

    def operations(self) -> list[Operation]:
        """Its row in the table."""
        chosen = schema.several(
            schema.text(enum=sorted(self._topics)), "What to hear of; default: services.", minItems=1
        )
        about = "Changes as they come (server-sent events): see docs/http-api.md for the events of each topic."
        query = {"topics": chosen, **self._parameters}
        return [Operation("GET", "/stream", "stream", about, self._open, query=query, streams=True, group="stream")]

    async def _open(self, request: Request) -> Response:
        wanted = dict.fromkeys(request.values.get("topics", ["services"]))
        return Response(
            200, headers=_FIELDS, stream=self._events(request, {name: self._topics[name] for name in wanted})
        )

    async def _events(self, request: Request, topics: Mapping[str, Topic]) -> AsyncIterator[bytes]:
        waiting: asyncio.Queue[bytes] = asyncio.Queue(_WAITING)

        async def say(event: str, value: Any) -> None:
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            await waiting.put(f"event: {event}\ndata: {text}\n\n".encode("utf-8", "backslashreplace"))

        tasks = [asyncio.create_task(_told(name, topic, say, request)) for name, topic in topics.items()]
        try:
            yield b"retry: 1000\n\n"
            while True:
                yield await self._next(waiting, tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @staticmethod
    async def _next(waiting: asyncio.Queue[bytes], tasks: list[asyncio.Task[None]]) -> bytes:
        """What waits; a topic that failed ends the stream, and is logged."""
        for task in tasks:
            if task.done():
                task.result()
        try:
            async with asyncio.timeout(_HEARTBEAT):
                pieces = [await waiting.get()]
        except TimeoutError:
            return b": nothing new\n\n"
        while not waiting.empty():
            pieces.append(waiting.get_nowait())
        return b"".join(pieces)


async def _told(name: str, topic: Topic, say: Say, request: Request) -> None:
    """A topic, begun anew when what it tells of was away: a supervisor or a broker is replaced under an open page."""
    said = None
    while True:
        try:
            await topic(say, request)
        except StoresError as error:
            problem = {"topic": name, "detail": error.message, "hint": error.hint}
        except RefusalError as error:
            problem = {"topic": name, "detail": error.detail, "hint": str(error.facts.get("hint", ""))}
        else:
            return
        if problem != said:
            said = problem
            await say("problem", problem)
        await asyncio.sleep(_AGAIN)
