"""What the event broker's tests share: a broker on a real port, and plain HTTP to it."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy_addons.events.broker import Broker, Limits
from proxy_addons.events.http_server import HttpServer
from proxy_addons.events.loopback import listen

_ids = itertools.count(1)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def headers_of(**attributes: str) -> dict[str, str]:
    """An event's headers in binary mode; each call makes another event."""
    known = {"specversion": "1.0", "id": f"e-{next(_ids)}", "source": "/tests", "type": "com.example.test"}
    return {f"ce-{name}": value for name, value in (known | attributes).items() if value}


def structured(**attributes: Any) -> dict[str, Any]:
    """An event as JSON."""
    known = {"specversion": "1.0", "id": f"e-{next(_ids)}", "source": "/tests", "type": "com.example.test"}
    return {name: value for name, value in (known | attributes).items() if value is not ...}


class Client:
    """Plain HTTP to one port, from the standard library: it knows nothing of events."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(
        self, method: str, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    async def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """The same, beside a broker in this loop. A `body` that is no text is sent as JSON."""
        text = body if isinstance(body, bytes | str | None) else json.dumps(body)
        return await asyncio.to_thread(self.ask, method, path, text, headers)

    async def publish(self, data: Any = None, **attributes: str) -> Answer:
        """One event in binary mode."""
        headers = headers_of(**attributes) | ({"Content-Type": "application/json"} if data is not None else {})
        return await self.call("POST", "/v1/events", json.dumps(data) if data is not None else b"", headers)


@asynccontextmanager
async def serving(broker: Broker) -> AsyncIterator[Client]:
    """The broker on a free port."""
    server, listeners = HttpServer(broker.answer), listen(0)
    await server.serve(listeners)
    try:
        yield Client(listeners[0].getsockname()[1])
    finally:
        await server.close()


@asynccontextmanager
async def running(file: Path, limits: Limits = Limits(), **more: Any) -> AsyncIterator[tuple[Broker, Client]]:  # noqa: B008 - frozen
    """A broker with a port, opened and closed."""
    broker = await Broker.open(file, limits, ["local.example.com"], **more)
    try:
        async with serving(broker) as client:
            yield broker, client
    finally:
        await broker.close()
