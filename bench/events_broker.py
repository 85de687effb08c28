"""The broker that `bench.events` measures, a process of its own.

``python -m bench.events_broker FILE PORTS [URL]``: a subscription for each of the ports, which have commas between
them. It says its own port when it can be asked.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from procman.subscription import Subscription
from proxy_addons.event_loop import loop_factory
from proxy_addons.events.broker import Broker, Limits, Surroundings
from proxy_addons.events.http_server import HttpServer
from proxy_addons.events.sender import Subscriber
from proxy_addons.listening import bound


async def serve(file: str, ports: str, engine: str = "") -> None:
    """Until it is ended."""
    broker = await Broker.open(Path(file), Limits(), Surroundings(), engine)
    wish = Subscription(("**",), order="none", concurrency=16)
    places = [("127.0.0.1", int(port)) for port in ports.split(",") if port]
    await broker.follow([Subscriber(f"s{n}", wish, "localhost", (place,)) for n, place in enumerate(places)])
    listeners = bound([0])
    await HttpServer(broker.answer).serve(listeners)
    print(listeners[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(*sys.argv[1:]))
