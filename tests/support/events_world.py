"""What the event broker's tests share: a broker on a real port, and plain HTTP to it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from procman.subscription import Subscription
from proxy_addons.events.broker import Broker, Limits, Surroundings
from proxy_addons.events.http_server import HttpServer
from proxy_addons.events.sender import Subscriber
from proxy_addons.listening import bound

_ids = itertools.count(1)
_LIMITS = Limits()


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
async def serving(broker: Broker, port: int = 0) -> AsyncIterator[Client]:
    """The broker on a free port."""
    server, listeners = HttpServer(broker.answer), bound([port])
    await server.serve(listeners)
    try:
        yield Client(listeners[0].getsockname()[1])
    finally:
        await server.close()


@asynccontextmanager
async def running(
    file: Path, limits: Limits = _LIMITS, *, port: int = 0, engine: str = "", **more: Any
) -> AsyncIterator[tuple[Broker, Client]]:
    """A broker with a port, opened and closed."""
    broker = await Broker.open(file, limits, Surroundings(("local.example.com",), **more), engine)
    try:
        async with serving(broker, port) as client:
            yield broker, client
    finally:
        await broker.close()


@dataclass(frozen=True)
class Delivery:
    method: str
    path: str
    headers: http.client.HTTPMessage
    body: bytes
    at: float

    @property
    def id(self) -> str:
        return self.headers["ce-id"]


Reply = tuple[int, dict[str, str], bytes]


class Receiver:
    """A subscriber on a real port: what it was sent, and what it answers (`reply`, called in a thread of its own)."""

    def __init__(self, reply: Callable[[Delivery], Reply | int] = lambda _: 204, port: int = 0) -> None:
        self.reply = reply
        self.got: list[Delivery] = []
        self.changed = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    super().handle()

            def finish(self) -> None:
                with contextlib.suppress(OSError):
                    super().finish()

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                delivery = Delivery(self.command, self.path, self.headers, body, time.monotonic())
                with receiver.changed:
                    receiver.got.append(delivery)
                    receiver.changed.notify_all()
                reply = receiver.reply(delivery)
                status, headers, text = (reply, {}, b"") if isinstance(reply, int) else reply
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(text))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            do_POST = do_OPTIONS = answer  # noqa: N815 - names of the base class

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def wait_for(self, count: int, patience: float = 20.0) -> list[Delivery]:
        """What it got, once that is so much."""

        def wait() -> bool:
            with self.changed:
                return self.changed.wait_for(lambda: len(self.got) >= count, patience)

        assert await asyncio.to_thread(wait), f"{len(self.got)} of {count} came"
        return list(self.got)

    def as_subscriber(self, name: str = "shop", **facts: Any) -> Subscriber:
        """This one, running, as the supervisor would tell of it."""
        return subscriber(name, self.port, **facts)


def subscriber(name: str = "shop", port: int | None = None, **facts: Any) -> Subscriber:
    """A subscribing service; without a port it does not run."""
    facts = {"types": ("**",), "backoff": 0.02} | facts
    addresses = (("127.0.0.1", port),) if port else ()
    return Subscriber(name, Subscription(**facts), f"{name}.local.example.com", addresses)


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def until(condition: Callable[[], Any], what: str, patience: float = 20.0) -> Any:
    """The first true value of a condition on the broker in this loop."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if value := condition():
            return value
        await asyncio.sleep(0.01)
    raise AssertionError(f"it never happened: {what}")
