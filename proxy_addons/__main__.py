"""``python -P -m proxy_addons``: the gateway process, started by the supervisor, or by hand."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from pathlib import Path

from proxy_addons import listening
from proxy_addons.event_loop import loop_factory


def main(arguments: list[str] | None = None) -> int:
    """Runs the gateway. Returns 0 after SIGTERM or SIGINT, 1 when it could not run, 2 for a wrong command line."""
    parser = argparse.ArgumentParser(prog="proxy_addons", description="The gateway of a stores workspace.")
    parser.add_argument("--control", type=Path, help="the supervisor's control socket (STORES_CONTROL)")
    parser.add_argument("--http", type=int, help="port for HTTP, where no socket is inherited (STORES_LISTEN)")
    parser.add_argument("--https", type=int, help="port for HTTPS, where no socket is inherited")
    parser.add_argument("--state", type=Path, help="a folder for what the gateway keeps (STORES_GATEWAY_STATE)")
    parser.add_argument("--answer-timeout", type=float, help="seconds for an answer to begin, instead of the default")
    parser.add_argument("--log-level", default="WARNING", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    chosen = parser.parse_args(arguments)
    control = chosen.control or os.environ.get("STORES_CONTROL")
    state = chosen.state or os.environ.get("STORES_GATEWAY_STATE")
    if not control or not state:
        parser.error("name the supervisor's socket and a folder: --control PATH --state DIR")
    # The supervisor puts time and name before each line.
    logging.basicConfig(level=chosen.log_level, format="%(levelname)s %(message)s", stream=sys.stderr)
    try:
        ports = [port for port in (chosen.http, chosen.https) if port is not None]
        described = os.environ.get("STORES_LISTEN", "")
        sockets = listening.inherited(described) or listening.bound(ports)
        events = listening.inherited(described, listening.EVENTS)
    except (OSError, ValueError) as error:
        parser.exit(1, f"The gateway cannot listen: {error}\n")
    if not sockets:
        parser.error("name a port: --http 8080 --https 8443")
    gc.disable()  # until all is imported, which would be looked through for rubbish some forty times
    from proxy_addons.gateway import Place  # noqa: PLC0415 - imports that no wrong command line shall cost

    logs = os.environ.get("STORES_LOGS")
    place = Place(sockets, Path(control), Path(state), chosen.answer_timeout, events, Path(logs) if logs else None)
    place.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_run(place))
    return 0


async def _run(place: object) -> None:
    from proxy_addons.gateway import Gateway, Place  # noqa: PLC0415 - see above

    assert isinstance(place, Place)
    gateway = Gateway(place)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, gateway.stop)
    await gateway.run()


if __name__ == "__main__":
    sys.exit(main())
