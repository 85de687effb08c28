"""The verb that coding agents start."""

from __future__ import annotations

import os
import sys

from procman.cli.place import here


def mcp() -> None:
    """Serve coding agents.

    By the Model Context Protocol, on stdin and stdout. Tools: status, logs, start, stop, restart, routes,
    recent_failures; inspect, requests, request for the traffic. An agent starts it itself, once it is told how:

    For example:
      claude mcp add stores -- stores mcp
      stores -w ~/work mcp           from whichever folder the agent runs in
    """
    from importlib.metadata import version  # noqa: PLC0415 (12 ms, and the two below: only here)

    from procman.mcp.server import McpServer  # noqa: PLC0415 (as above)
    from procman.mcp.tools import Tools  # noqa: PLC0415 (as above)

    place = here()
    # stdout belongs to the protocol: whatever else would be printed goes to stderr
    with os.fdopen(os.dup(1), "wb") as writes:
        os.dup2(2, 1)
        McpServer(Tools(place.paths, place.environ).all(), version("stores"), sys.stdin.buffer, writes).serve()
