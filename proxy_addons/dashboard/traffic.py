"""The requests between services, for whoever looks: as they pass, by trace, and as a map."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from proxy_addons.dashboard import schema
from proxy_addons.dashboard.entry import Entry
from proxy_addons.dashboard.message import Request
from proxy_addons.dashboard.onlooker import Onlooker
from proxy_addons.dashboard.operation import Handler, Operation
from proxy_addons.dashboard.recorder import Recorder
from proxy_addons.dashboard.schema import Schema
from proxy_addons.dashboard.stream import Say
from proxy_addons.dashboard.watched import Watching
from proxy_addons.view import Current

if TYPE_CHECKING:
    from proxy_addons.front.exchange import Front

#: Seconds between two batches, and requests in one: more than that, nobody reads.
_PAUSE: Final = 0.25
_BATCH: Final = 100
#: Seconds between two tellings of the map, and for which all is kept once nobody looks: a page may be loaded again.
_MAP_PAUSE: Final = 1.0
_KEPT: Final = 60.0

_NUMBER_OR_NOT = schema.maybe(schema.number())
REQUEST = schema.record(
    "One request that passed.",
    id=schema.whole(),
    at=schema.number("Seconds since the epoch."),
    method=schema.text(),
    scheme=schema.text(),
    host=schema.text(),
    path=schema.text("A query is not shown."),
    service=schema.text("Whose host it is; empty: a stranger's."),
    route=schema.text("local, remote or fallback; empty while it is open, and where its client left first."),
    status=schema.whole("0: no answer has begun."),
    duration=_NUMBER_OR_NOT,
    first_byte=_NUMBER_OR_NOT,
    request_bytes=schema.whole(),
    response_bytes=schema.whole(),
    caller=schema.text("A service, `browser`, or `unknown`."),
    how=schema.text("How that is known.", enum=["trace", "process", "page", "agent", ""]),
    trace=schema.text(),
    span=schema.text(),
    parent=schema.maybe(schema.whole("The id of the request in whose course it was made.")),
    error=schema.text(),
)
_EDGE = schema.record(
    "Over the last minute.",
    caller=schema.text(),
    service=schema.text(),
    requests=schema.whole(),
    errors=schema.whole("5xx, and answers that broke off."),
    rate=schema.number("A second."),
    p50=schema.number("Seconds."),
    p95=schema.number("Seconds."),
    bytes=schema.whole("Both ways."),
)
_RECORDING = schema.flag("Whether somebody listens to the topic `traffic`: only then requests are noted.")
_REQUESTS = schema.record(recording=_RECORDING, requests=schema.several(REQUEST, "The newest first."))
_MAP = schema.record(recording=_RECORDING, since=schema.number("Seconds since the epoch."), edges=schema.several(_EDGE))
_TRACE = schema.record(trace=schema.text(), requests=schema.several(REQUEST, "The oldest first."))

#: Puts something between askers and the front, or takes it out again (`front.Front.watch`).
Watch = Callable[[Callable[["Front"], "Front"] | None], None]


class Traffic:
    """Notes nothing until somebody listens."""

    def __init__(self, current: Current, watch: Watch, onlooker: Onlooker) -> None:
        self._recorder = Recorder(current)
        self._watch = watch
        self._onlooker = onlooker
        self._looking = 0
        self._forgetting: asyncio.TimerHandle | None = None

    def operations(self) -> list[Operation]:
        """Its rows in the table."""
        query = {
            "service": schema.text("Who was asked."),
            "caller": schema.text("Who asked."),
            "trace": schema.text(),
            "status": schema.text("`404`, or `5` for all of 5xx.", maxLength=3),
            "q": schema.text("In host or path."),
            "limit": schema.whole(minimum=1, maximum=2000),
        }
        rows: tuple[tuple[str, str, str, Handler, Schema, dict[str, Schema]], ...] = (
            ("/traffic", "list_requests", "Requests that passed.", self._list, _REQUESTS, query),
            ("/traffic/map", "get_map", "Who calls whom.", self._map, _MAP, {}),
            ("/traffic/traces/{trace}", "get_trace", "The requests of one trace.", self._trace, _TRACE, {}),
        )
        return [
            Operation("GET", path, name, about, answer, gives, query=asked, group="traffic")
            for path, name, about, answer, gives, asked in rows
        ]

    async def _list(self, request: Request) -> dict[str, Any]:
        wanted = request.values
        found = islice(
            (entry for entry in reversed(self._recorder.ended) if _matches(entry, wanted)), wanted.get("limit", 200)
        )
        return {"recording": self._looking > 0, "requests": [entry.to_json() for entry in found]}

    async def _map(self, _: Request) -> dict[str, Any]:
        recorder = self._recorder
        edges = recorder.edges.to_json(recorder.now())
        return {"recording": self._looking > 0, "since": round(recorder.since, 3), "edges": edges}

    async def _trace(self, request: Request) -> dict[str, Any]:
        trace = request.values["trace"]
        return {"trace": trace, "requests": [entry.to_json() for entry in self._recorder.of_trace(trace)]}

    async def follow(self, say: Say, _: Request) -> None:
        """``traffic``: what is in memory, and then batches of what passes."""
        self._begin()
        try:
            await self._recorder.callers.refresh()
            told, edges, told_edges = max(0, self._recorder.count - _BATCH), None, 0.0
            while True:
                passed = self._recorder.count - told
                told = self._recorder.count
                now = self._recorder.now()
                if now - told_edges >= _MAP_PAUSE:
                    before, edges, told_edges = edges, self._recorder.edges.to_json(now), now
                    if passed or edges != before:
                        await say("traffic", self._batch(passed, edges))
                elif passed:
                    await say("traffic", self._batch(passed, edges or []))
                await asyncio.sleep(_PAUSE)
        finally:
            self._end()

    def _batch(self, passed: int, edges: list[dict[str, Any]]) -> dict[str, Any]:
        ended = self._recorder.ended
        newest = list(islice(reversed(ended), min(passed, _BATCH)))[::-1]
        return {
            "at": round(time.time(), 3),
            "requests": [entry.to_json() for entry in newest],
            "edges": edges,
            "skipped": passed - len(newest),
        }

    def _begin(self) -> None:
        self._looking += 1
        if self._looking == 1:
            if self._forgetting is not None:
                self._forgetting.cancel()
                self._forgetting = None
            self._watch(lambda front: Watching(front, self._recorder))
            self._onlooker.recorder = self._recorder

    def _end(self) -> None:
        self._looking -= 1
        if not self._looking:
            self._watch(None)
            self._onlooker.recorder = None
            with contextlib.suppress(RuntimeError):  # the loop is closing
                self._forgetting = asyncio.get_running_loop().call_later(_KEPT, self._recorder.clear)


def _matches(entry: Entry, wanted: dict[str, Any]) -> bool:
    status = wanted.get("status", "")
    return (
        all(getattr(entry, name) == wanted[name] for name in ("service", "caller", "trace") if name in wanted)
        and str(entry.status).startswith(status)
        and wanted.get("q", "").lower() in f"{entry.host}{entry.path}".lower()
    )
