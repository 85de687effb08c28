"""The remote's event broker: the one that runs in everybody's gateway, in a thread of its own here.

One broker can be another's remote, so this one gets by with what any has: it is asked over HTTP.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from common.message import HttpError, Request, Response, problem

if TYPE_CHECKING:
    from proxy_addons.events.broker import Broker

T = TypeVar("T")
HOST = "events"
PATIENCE = 5  # seconds for its end


class Events:
    """Begins with the first request: whoever does not use events pays nothing for them."""

    def __init__(self, file: Path, domain: str) -> None:
        self._file = file
        self._domain = domain
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._broker: Broker | None = None

    def __call__(self, request: Request) -> Response:
        try:
            broker = self._begun()
        except HttpError as error:
            return problem(error.status, error.message).with_header("Retry-After", "30")
        return self._run(_answer(broker, request, self._pieces))

    def close(self) -> None:
        """Streams end, and what was accepted is on the disk."""
        with self._lock:
            if self._loop is None or self._thread is None:
                return
            with suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(_end(self._broker), self._loop).result(PATIENCE)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE)
            self._loop = self._thread = self._broker = None

    def _begun(self) -> Broker:
        with self._lock:
            if self._broker is None:
                self._broker = self._begin()
            return self._broker

    def _begin(self) -> Broker:
        try:
            from procman.errors import StoresError  # noqa: PLC0415 - this Python may not have it
            from proxy_addons.events.broker import (  # noqa: PLC0415 - 150 ms and 5 MB, only where events are asked for
                Broker,
                Limits,
                Surroundings,
            )
        except ImportError as error:
            why = f"The broker is part of stores, which this Python does not have ({error}): make dev"
            raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE, why) from error
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="events", daemon=True)
            self._thread.start()
        try:
            return self._run(Broker.open(self._file, Limits(), Surroundings((self._domain,))))
        except StoresError as error:  # a second environment on the same data, say
            raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE, f"{error.message}. {error.hint}") from error

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _pieces(self, stream: AsyncIterator[bytes]) -> Iterator[bytes]:
        """A stream, for the thread of one connection."""
        while (piece := self._run(_next(stream))) is not None:
            yield piece


async def _answer(broker: Broker, request: Request, pieces: Any) -> Response:
    from proxy_addons.events import http_message, refusal  # noqa: PLC0415 (the broker has loaded them)

    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in request.headers.items()]
    asked = http_message.Request(request.method, request.path, request.query, headers, request.body)
    try:
        found = await broker.answer(asked)
    except refusal.RefusalError as error:
        return Response(error.body(), error.status, refusal.PROBLEM, list(error.headers.items()))
    fields = dict(found.headers)
    kind = fields.pop("Content-Type", "")
    body = found.body if found.stream is None else pieces(found.stream)
    return Response(body, found.status, kind, list(fields.items()))


async def _next(stream: AsyncIterator[bytes]) -> bytes | None:
    return await anext(stream, None)


async def _end(broker: Broker | None) -> None:
    if broker:
        await broker.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:  # answers on their way
        await asyncio.wait(others, timeout=0.5)
    for task in others:
        task.cancel()
