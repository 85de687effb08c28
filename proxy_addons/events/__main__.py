"""``python -P -m proxy_addons.events``: a broker by itself, outside of a gateway."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path

from procman.errors import StoresError
from proxy_addons.event_loop import loop_factory
from proxy_addons.events.broker import Broker, Limits, Surroundings
from proxy_addons.events.http_server import HttpServer
from proxy_addons.listening import bound


def main(arguments: list[str] | None = None) -> int:
    """Runs until SIGTERM or SIGINT. Returns 0; 1 where it cannot run."""
    parser = argparse.ArgumentParser(prog="proxy_addons.events", description="An event broker by itself.")
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1 and ::1; default: a free one")
    parser.add_argument("--file", type=Path, required=True, help="where the events are kept (SQLite)")
    parser.add_argument("--domain", action="append", default=[], help="a domain below which it is reached")
    chosen = parser.parse_args(arguments)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_serve(chosen))
    except (StoresError, OSError) as error:
        hint = getattr(error, "hint", "")
        print(f"{error}\n{hint}".strip(), file=sys.stderr)  # noqa: T201 - this is the program's own output
        return 1
    return 0


async def _serve(chosen: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    listeners = bound([chosen.port])
    broker = await Broker.open(chosen.file, Limits(), Surroundings((*chosen.domain, "localhost")))
    server = HttpServer(broker.answer)
    try:
        await server.serve(listeners)
        port = listeners[0].getsockname()[1]
        with contextlib.suppress(BrokenPipeError):
            print(f"Events: http://127.0.0.1:{port}/v1/events", flush=True)  # noqa: T201 - as above
        await stop.wait()
    finally:
        await server.close()
        await broker.close()


if __name__ == "__main__":
    sys.exit(main())
