"""The tools of `stores mcp` that look into requests: recorded from one call on, listed and read by others."""

from __future__ import annotations

from typing import Any, Final

from procman.clients.dashboard import DashboardClient
from procman.mcp.server import Tool
from procman.paths import Paths

#: Minutes that a service is inspected where nobody says how long: an agent forgets to turn it off.
_MINUTES: Final = 15
#: Requests that are listed unless somebody asks for another number, and at most.
_LISTED, _MOST_LISTED = 20, 200


class RequestTools:
    """What `stores inspect` can do, in three calls. Secrets stay masked: what an agent reads goes to its maker."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def all(self) -> list[Tool]:
        """The list, in the order in which they are shown."""
        return [
            Tool(
                "inspect",
                "Record every request to services from now on, with headers, bodies and timing; off again by itself.",
                self.inspect,
                {
                    "targets": {
                        "type": "array",
                        "items": {"type": "string"},
                        "description": "Services (netshop), or hosts of one (admin.netshop).",
                    },
                    "minutes": {"type": "integer", "description": f"From 1 to 1440; default {_MINUTES}."},
                },
                ("targets",),
                changes=True,
            ),
            Tool(
                "requests",
                "The newest recorded requests, one line each; nothing is recorded before `inspect`.",
                self.requests,
                {
                    "filter": {
                        "type": "string",
                        "description": "mitmproxy's language: '~c 500', '~m POST & ~u cart', or a text that occurs.",
                    },
                    "limit": {
                        "type": "integer",
                        "description": f"How many, at most {_MOST_LISTED}; default {_LISTED}.",
                    },
                },
            ),
            Tool(
                "request",
                "One recorded request from head to foot: both sides' headers and bodies, timing, what went wrong.",
                self.request,
                {"id": {"type": "string", "description": "Its number, as `requests` tells it."}},
                ("id",),
            ),
        ]

    def inspect(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """What is inspected now, with the second (epoch) until which it is."""
        minutes = arguments.get("minutes", _MINUTES)
        if not 1 <= minutes <= 24 * 60:
            raise ValueError(f"minutes: {minutes} is not from 1 to 1440")
        wanted = {"targets": arguments["targets"], "seconds": minutes * 60}
        found: dict[str, Any] = DashboardClient(self._paths).ask("POST", "/inspection/on", body=wanted)
        return found

    def requests(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The newest last, as `stores inspect` has them."""
        limit = arguments.get("limit", _LISTED)
        if not 1 <= limit <= _MOST_LISTED:
            raise ValueError(f"limit: {limit} is not from 1 to {_MOST_LISTED}")
        asking = DashboardClient(self._paths)
        query = {"limit": limit, **({"filter": arguments["filter"]} if arguments.get("filter") else {})}
        found = asking.ask("GET", "/inspection/requests", query)["requests"][::-1]
        return {"inspected": asking.ask("GET", "/inspection")["targets"], "requests": found}

    def request(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The whole of it."""
        number = arguments["id"]
        if not number.isascii() or not number.isdecimal():
            raise ValueError(f'id: "{number}" is not the number of a request')
        found: dict[str, Any] = DashboardClient(self._paths).ask("GET", f"/inspection/requests/{number}")
        return found
