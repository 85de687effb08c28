"""What processes wrote: read page by page from the supervisor's files, and followed through its socket."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from procman.errors import StoresError
from procman.log_reading import Line, Page, page
from proxy_addons.dashboard import schema
from proxy_addons.dashboard.message import Request
from proxy_addons.dashboard.operation import Operation
from proxy_addons.dashboard.stream import Say
from proxy_addons.events.refusal import RefusalError
from proxy_addons.supervisor import Supervisor
from proxy_addons.view import Current

#: Bytes of one line that are shown: a page of minified code is no line that anybody reads.
_LONGEST: Final = 16 * 1024
#: Seconds for which new lines are gathered before they are told, and how many of them at once.
_GATHERED: Final = 0.1
_AT_ONCE: Final = 1000
GATEWAY: Final = "gateway"

TARGETS = schema.several(schema.text(), "Services, and processes as `netshop.web`; `gateway`. Default: all.")
SEARCH = schema.text("Only lines that have this, in letters of either case.", maxLength=500)
_LINE = schema.record(
    at=schema.number("Seconds since the epoch."),
    name=schema.text("Of the process."),
    text=schema.text("As it was written, ANSI sequences and all."),
)
_PAGE = schema.record(
    lines=schema.several(_LINE, "The oldest first."),
    before=schema.maybe(schema.text("Leads to what stands before; null: nothing does.")),
)


class Logs:
    """`folder` is None where nobody keeps logs for this gateway."""

    def __init__(self, current: Current, supervisor: Supervisor, folder: Path | None) -> None:
        self._current = current
        self._supervisor = supervisor
        self._folder = folder

    def operations(self) -> list[Operation]:
        """Its row in the table."""
        query = {
            "targets": TARGETS,
            "limit": schema.whole("Lines, at most.", minimum=1, maximum=5000),
            "before": schema.text("From the page after it; default: the end."),
            "q": SEARCH,
        }
        about = "The last lines of several processes, merged by time, page by page from the end backwards."
        unknown = {404: "There is no such service or process."}
        return [
            Operation("GET", "/logs", "get_logs", about, self._get, _PAGE, query=query, refuses=unknown, group="logs")
        ]

    async def _get(self, request: Request) -> dict[str, Any]:
        names = self._names(request.values.get("targets", []))
        places = _places(request.values.get("before", ""))
        before = {name: places.get(name) for name in names if not places or name in places}
        matches = _matcher(request.values.get("q", ""))
        if self._folder is None:
            return {"lines": [], "before": None}
        found = await asyncio.to_thread(page, self._folder, before, request.values.get("limit", 500), matches)
        return _told(found)

    def _names(self, targets: list[str]) -> list[str]:
        """The processes that are meant. Raises `RefusalError`."""
        services = self._current.view.snapshot.services
        of_service = {one.name: [f"{one.name}.{process.name}" for process in one.processes] for one in services}
        of_service[GATEWAY] = [GATEWAY]
        every = [name for names in of_service.values() for name in names]
        chosen: dict[str, None] = {}
        for target in targets or of_service:
            names = of_service.get(target, [target] if target in every else [])
            if not names:
                raise RefusalError(404, f"There is no service or process {target}", hint="stores status")
            chosen |= dict.fromkeys(names)
        return [*chosen]

    async def follow(self, say: Say, request: Request) -> None:
        """``logs-begin``, then ``logs``. A listener that is too slow misses some, and is told how many."""
        names = self._names(request.values.get("targets", []))
        wanted = request.values.get("q", "").lower()
        gathered: list[dict[str, Any]] = []
        waiting, room = asyncio.Event(), asyncio.Event()
        room.set()
        telling = asyncio.create_task(_tell(say, gathered, waiting, room))
        try:
            # the gateway's own log is heard, too; `targets` are names of processes, which are targets as well
            async with contextlib.aclosing(self._supervisor.hear(names)) as heard:
                async for told in heard:
                    if "begins" in told:
                        await say("logs-begin", {"cursor": _cursor(told["begins"])})
                    elif "line" not in told or wanted in told["line"]["text"].lower():
                        gathered.append(told)
                        waiting.set()
                        if len(gathered) >= _AT_ONCE:
                            room.clear()
                            await room.wait()
            raise StoresError("The supervisor has ended; its services go on", "Bring it back: stores up -d")
        finally:
            telling.cancel()


async def _tell(say: Say, gathered: list[dict[str, Any]], waiting: asyncio.Event, room: asyncio.Event) -> None:
    while True:
        await waiting.wait()
        await asyncio.sleep(_GATHERED)
        lines = [_cut(told["line"]) for told in gathered if "line" in told]
        missed = sum(told["missed"] for told in gathered if "missed" in told)
        gathered.clear()
        waiting.clear()
        room.set()
        await say("logs", {"lines": lines, "missed": missed})


def _cut(line: dict[str, Any]) -> dict[str, Any]:
    """Undecodable bytes are shown as such: JSON has no place for them."""
    written = line["text"].encode("utf-8", "surrogateescape")
    return {"at": line["at"], "name": line["name"], "text": _text(written)}


def _text(written: bytes) -> str:
    left = len(written) - _LONGEST
    text = written[:_LONGEST].decode("utf-8", "replace")
    return text if left <= 0 else f"{text} … ({left} bytes more)"


def _told(found: Page) -> dict[str, Any]:
    before = None if found.before is None else _cursor(found.before)
    return {"lines": [_line(line) for line in found.lines], "before": before}


def _line(line: Line) -> dict[str, Any]:
    return {"at": round(line.at, 3), "name": line.name, "text": _text(line.text)}


def _matcher(wanted: str) -> Callable[[bytes], bool]:
    """No regular expressions of a client's: one that backtracks for ever would stand in the way of every request."""
    if not wanted:
        return lambda _: True
    pattern = re.compile(re.escape(wanted).encode(), re.IGNORECASE)
    return lambda text: pattern.search(text) is not None


def _cursor(places: Mapping[str, int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(places, separators=(",", ":")).encode()).decode().rstrip("=")


def _places(cursor: str) -> dict[str, int]:
    """What `_cursor` made. Raises `RefusalError`."""
    if not cursor:
        return {}
    try:
        places = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        schema.check(schema.table(schema.whole(minimum=0)), places, "before")
    except ValueError as error:
        raise RefusalError(400, "before: that is no cursor of a page") from error
    return dict(places)
