"""The tools of `stores mcp`: what a coding agent may see and do of the workspace."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from procman.clients import supervisor
from procman.clients.dashboard import DashboardClient
from procman.errors import StoresError
from procman.log_reading import Line, page
from procman.mcp.requests import RequestTools
from procman.mcp.server import Tool
from procman.paths import Paths
from procman.snapshot import ProcessStatus, ServiceStatus, Snapshot
from procman.state import State
from procman.supervisor.roster import GATEWAY
from procman.workspace import read

#: Lines that are told unless somebody asks for another number, at most, and of each process that failed.
_LINES, _MOST_LINES, _OF_FAILED = 100, 1000, 30
#: Pages of a log that one search looks through: some hundred megabytes.
_PAGES: Final = 50
_ANSI: Final = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_WRONG: Final = frozenset({State.FAILED, State.BACKOFF})

_TARGETS: Final = {
    "type": "array",
    "items": {"type": "string"},
    "description": "Services (netshop), processes (netshop.web), groups or globs ('net*').",
}


class Tools:
    """Each asks anew, so that it goes on when the supervisor was replaced."""

    def __init__(self, paths: Paths, environ: Mapping[str, str]) -> None:
        self._paths = paths
        self._environ = environ

    def all(self) -> list[Tool]:
        """The list, in the order in which they are shown."""
        lines = {"type": "integer", "description": f"How many, at most {_MOST_LINES}; default {_LINES}."}
        grep = {"type": "string", "description": "Only lines that match this regular expression."}
        verbs = {
            "start": "Start services and what they need; returns when they are ready, or failed.",
            "stop": "Stop services; returns when nothing of them is left.",
            "restart": "Stop services and start them again; returns when they are ready, or failed.",
        }
        return [
            Tool("status", "What runs: state, PID, port, URLs, restarts, problem.", self.status, {"targets": _TARGETS}),
            Tool(
                "logs",
                "The last lines that services wrote, merged by time, without colours.",
                self.logs,
                {"targets": _TARGETS, "lines": lines, "grep": grep},
            ),
            *(self._verb(verb, about) for verb, about in verbs.items()),
            Tool("routes", "What answers each host now: local, remote, or a page of the gateway.", self.routes, {}),
            Tool(
                "recent_failures",
                "What is wrong now or went wrong of late: processes with their last lines, failed requests as far as "
                "somebody watches the traffic, events that could not be delivered.",
                self.recent_failures,
                {},
            ),
            *RequestTools(self._paths).all(),
        ]

    def _verb(self, verb: str, about: str) -> Tool:
        def work(arguments: dict[str, Any]) -> dict[str, Any]:
            return {"processes": supervisor.answer(self._paths, verb, targets=arguments["targets"])}

        return Tool(verb, about, work, {"targets": _TARGETS}, ("targets",), changes=True)

    def status(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """What `stores status` says, but for the costs."""
        snapshot = self._snapshot()
        wanted = self._services(arguments.get("targets") or [])
        services = [_service(one) for one in snapshot.services if one.name in wanted]
        return {"workspace": snapshot.workspace, "services": services, "mistakes": list(snapshot.mistakes)}

    def logs(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The last lines."""
        count = arguments.get("lines", _LINES)
        if not 1 <= count <= _MOST_LINES:
            raise ValueError(f"lines: {count} is not from 1 to {_MOST_LINES}")
        try:
            pattern = re.compile(arguments.get("grep", "").encode())
        except re.error as error:
            raise ValueError(f"grep: not a regular expression: {error}") from error
        targets = arguments.get("targets") or []
        chosen = self._reading().processes([one for one in targets if one != GATEWAY]) if targets != [GATEWAY] else []
        names = [f"{service.name}.{process.name}" for service, process in chosen]
        return {"lines": self._lines([*names, *([GATEWAY] if GATEWAY in targets else [])], count, pattern)}

    def _lines(self, names: list[str], count: int, pattern: re.Pattern[bytes]) -> list[str]:
        def matches(text: bytes) -> bool:
            return pattern.search(_ANSI.sub(b"", text)) is not None

        before: dict[str, int | None] = dict.fromkeys(names)
        found: list[Line] = []
        for _ in range(_PAGES):
            one = page(self._paths.logs, before, count - len(found), matches)
            found = [*one.lines, *found]
            if one.before is None or len(found) >= count:
                break
            before = {**one.before}
        return [f"{line.name}: {_ANSI.sub(b'', line.text).decode('utf-8', 'replace')}" for line in found]

    def routes(self, _: dict[str, Any]) -> dict[str, Any]:
        """Each host, and what answers it."""
        snapshot = self._snapshot()
        return {
            "domain": snapshot.domain,
            "routes": [
                {
                    "host": f"{host}.{snapshot.domain}",
                    "service": service.name,
                    "route": str(service.route),
                    "to": f"127.0.0.1:{service.port}" if service.route == "local" else service.remote or "",
                    "why": service.problem,
                }
                for service in snapshot.services
                for host in service.hosts
            ],
        }

    def recent_failures(self, _: dict[str, Any]) -> dict[str, Any]:
        """From all who know of any."""
        snapshot = self._snapshot()
        every = re.compile(b"")
        processes = [
            {
                **_process(process),
                "service": service.name,
                "last_lines": self._lines([f"{service.name}.{process.name}"], _OF_FAILED, every),
            }
            for service in snapshot.services
            for process in service.processes
            if process.state in _WRONG or process.restarts or process.problem
        ]
        told: dict[str, Any] = {"processes": processes, "mistakes": list(snapshot.mistakes)}
        try:
            asking = DashboardClient(self._paths)
            traffic = asking.ask("GET", "/traffic", {"status": "5", "limit": 20})
            told["requests"] = traffic["requests"]
            told["requests_are_noted"] = traffic["recording"]
            told["deadletters"] = asking.ask("GET", "/events/deadletters", {"limit": 20})["deadletters"]
        except StoresError as error:  # the gateway may be what fails
            told["gateway"] = error.message
        return told

    def _snapshot(self) -> Snapshot:
        return Snapshot.from_json(supervisor.answer(self._paths, "status"))

    def _reading(self) -> Any:
        return read(self._paths.root, self._environ).workspace

    def _services(self, targets: list[str]) -> set[str]:
        return {service.name for service, _ in self._reading().processes(targets)}


def _service(one: ServiceStatus) -> dict[str, Any]:
    return {
        "name": one.name,
        "state": str(one.state),
        "route": str(one.route),
        "urls": list(one.urls),
        "port": one.port,
        "problem": one.problem,
        "file": one.file,
        "dir": one.dir,
        "processes": [_process(process) for process in one.processes],
    }


def _process(one: ProcessStatus) -> dict[str, Any]:
    facts = {"name": one.name, "state": str(one.state), "pid": one.pid, "port": one.port, "restarts": one.restarts}
    return {**facts, "exit": one.exit, "problem": one.problem}
