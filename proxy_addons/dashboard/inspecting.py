"""Inspection's rows in the API's table, and its topic on the stream: see docs/inspection.md.

What needs mitmproxy is imported beside the loop, when somebody asks for it: the page is there before mitmproxy is.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import functools
import time
from typing import TYPE_CHECKING, Any, Final

from proxy_addons.beside import imported
from proxy_addons.dashboard.inspection_following import Following
from proxy_addons.dashboard.inspection_rows import rows
from proxy_addons.dashboard.message import Request, Response
from proxy_addons.events.refusal import RefusalError
from proxy_addons.inspection.watched import USUAL
from proxy_addons.site import Site
from proxy_addons.view import LOCALHOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import ModuleType

    from proxy_addons.dashboard.operation import Operation
    from proxy_addons.dashboard.stream import Say
    from proxy_addons.inspection.inspection import Inspection
    from proxy_addons.inspection.record import Record
    from proxy_addons.inspection.replay import Ask, Replay
    from proxy_addons.inspection.store import Filter
    from proxy_addons.view import Current

#: Seconds for which changes are gathered; records on a page of them, unless somebody wants more.
_GATHERED: Final = 0.25
_PAGE: Final = 200
#: Of one request, and of many (`export.KINDS` and `export.FILES`, which only mitmproxy can load).
_KINDS: Final = ("curl", "httpie", "har", "raw", "mitm")
_FILES: Final = ("har", "mitm")


class Inspecting:
    """`ask` is the way to mitmproxy, for a request that is sent again."""

    def __init__(self, inspection: Inspection, current: Current, ask: Ask) -> None:
        self._inspection = inspection
        self._current = current
        self._ask = ask
        self._replay: Replay | None = None

    def operations(self) -> list[Operation]:
        """Its rows in the table."""
        handlers = {
            "get_inspection": self._get,
            "inspect": self._on,
            "inspect_no_more": self._off,
            "list_inspected": self._list,
            "forget_inspected": self._forget,
            "get_inspected": self._one,
            "export_inspected": self._export,
            "export_all_inspected": self._export_all,
            "replay_inspected": self._send,
        }
        return rows(handlers, _KINDS, _FILES)

    async def _get(self, _: Request) -> dict[str, Any]:
        return await self._state()

    async def _on(self, request: Request) -> dict[str, Any]:
        for name in request.values["targets"]:
            self._check(name)
        try:
            await self._inspection.turn_on(request.values["targets"], request.values.get("seconds", USUAL))
        except ValueError as error:
            raise RefusalError(409, str(error), hint="Turn one off: stores inspect --off NAME") from error
        return await self._state()

    async def _off(self, request: Request) -> dict[str, Any]:
        self._inspection.turn_off(request.values.get("targets"))
        return await self._state()

    async def _list(self, request: Request) -> dict[str, Any]:
        wanted = request.values
        secrets, limit = wanted.get("secrets", False), wanted.get("limit", _PAGE)
        told: list[dict[str, Any]] = []
        async for record in self._found(request):
            if len(told) == limit:
                return {"requests": told, "before": told[-1]["id"]}
            shown = await _module("shown")
            told.append(shown.line(record, secrets=secrets))
        return {"requests": told, "before": None}

    async def _forget(self, _: Request) -> dict[str, Any]:
        store = self._inspection.store
        return {"forgotten": store.clear() if store is not None else 0}

    async def _one(self, request: Request) -> Any:
        record = self._record(request)
        shown = await _module("shown")
        return shown.whole(record, self._masked_headers(), secrets=request.values.get("secrets", False))

    async def _export(self, request: Request) -> Response:
        return await self._file([self._record(request)], request, "curl")

    async def _export_all(self, request: Request) -> Response:
        return await self._file([record async for record in self._found(request)][::-1], request, "har")

    async def _file(self, records: list[Record], request: Request, usual: str) -> Response:
        await self._inspection.ready()
        export, masked = await _module("export"), await _module("masked")
        kind, also = request.values.get("format", usual), self._masked_headers()
        flows = [record.current() for record in records]
        if not request.values.get("secrets", False):
            flows = [masked.masked(flow, also) for flow in flows]
        try:
            data = export.exported(flows, kind)
        except export.ExportError as error:
            raise RefusalError(409, str(error), hint="Ask for another format: har, mitm") from error
        return Response(200, data, {"Content-Type": export.MEDIA_TYPES[kind], "Cache-Control": "no-store"})

    async def _send(self, request: Request) -> Any:
        record, recorder = self._record(request), self._inspection.recorder
        assert recorder is not None  # it has the record
        replay, shown = await _module("replay"), await _module("shown")
        if self._replay is None or self._replay.recorder is not recorder:
            self._replay = replay.Replay(recorder, self._ask)
        assert self._replay is not None
        values = request.values
        body = values["body"].encode() if "body" in values else _bytes(values.get("body_base64"))
        remove = tuple(values.get("remove", ()))
        edit = replay.Edit(values.get("method"), values.get("path"), values.get("set", {}), remove, body)
        try:
            made = await self._replay.send(record, edit)
        except replay.ReplayError as error:
            raise RefusalError(409, str(error)) from error
        if made is None:
            raise RefusalError(409, "Nothing was recorded of it: its host is nobody's", hint="stores logs gateway")
        return shown.line(made, secrets=False)

    async def follow(self, say: Say, request: Request) -> None:
        """``inspection``, ``inspected``; ``inspection-problem`` and nothing else where the filter is wrong."""
        try:
            fits = await self._filter(request)
        except RefusalError as error:
            await say("inspection-problem", {"detail": error.detail})
            return
        following = Following(self._inspection, set(request.values.get("inspected", ())), fits)
        said = None
        try:
            while True:
                state = await self._state()
                if state["targets"] != said:
                    said = state["targets"]
                    await say("inspection", state)
                records = following.taken()
                if records:
                    shown = await _module("shown")
                    await say("inspected", {"records": [shown.line(one, secrets=False) for one in records]})
                await following.more()
                await asyncio.sleep(_GATHERED)
        finally:
            following.close()

    async def _state(self) -> dict[str, Any]:
        inspection, store = self._inspection, self._inspection.store
        # the clock's zero is anywhere; what is told are seconds since the epoch
        zero = time.time() - inspection.watched.clock()
        targets = [
            {"name": one.name, "since": round(one.since + zero), "until": round(one.until + zero)}
            for one in inspection.watched.watches
        ]
        await inspection.ready()
        records, stores, body = await _module("record"), await _module("store"), await _module("body")
        limits = {
            "requests": stores.MOST_REQUESTS,
            "bytes": stores.MOST_BYTES,
            "body": body.MOST,
            "messages": records.MOST_MESSAGES,
        }
        kept = (len(store), store.bytes) if store is not None else (0, 0)
        return {"targets": targets, "requests": kept[0], "bytes": kept[1], "limits": limits}

    def _check(self, name: str) -> None:
        view = self._current.view
        decided = view.decide(Site("http", f"{name}.{LOCALHOST}", 80))
        if name not in view.services and decided.service is None:
            raise RefusalError(404, f"There is no service and no host {name}", hint="See the names: stores status")

    def _masked_headers(self) -> frozenset[str]:
        """What opens the remote's gate is secret, whatever it is called."""
        return frozenset(name.lower() for name in self._current.view.snapshot.remote.headers)

    def _record(self, request: Request) -> Record:
        store = self._inspection.store
        number = request.values["id"]
        record = store.get(number) if store is not None else None
        if record is None:
            raise RefusalError(404, f"There is no request {number}, or no longer", hint="List them: stores inspect")
        return record

    async def _filter(self, request: Request) -> Filter | None:
        """What query and plain text ask for. Raises `RefusalError`."""
        expression, plain = request.values.get("filter", ""), request.values.get("q", "")
        if not expression and not plain:
            return None
        await self._inspection.ready()
        filters = await _module("filters")
        try:
            fits: Filter | None = filters.both(filters.parsed(expression), filters.containing(plain))
        except filters.FilterError as error:
            raise RefusalError(400, str(error)) from error
        return fits

    async def _found(self, request: Request) -> AsyncIterator[Record]:
        fits, store = await self._filter(request), self._inspection.store
        if store is None:
            return
        before = request.values.get("before", "")
        if before and not before.isdecimal():
            raise RefusalError(400, f"before: {before!r} is no request's number")
        async for record in store.found(request.values.get("target", ""), fits, before):
            yield record


@functools.cache
def _modules() -> dict[str, ModuleType]:
    """Those that are there: a thread for each look would be dear."""
    return {}


async def _module(name: str) -> ModuleType:
    known = _modules()
    if name not in known:
        known[name] = await imported(f"proxy_addons.inspection.{name}")
    return known[name]


def _bytes(written: str | None) -> bytes | None:
    if written is None:
        return None
    try:
        return base64.b64decode(written, validate=True)
    except binascii.Error as error:
        raise RefusalError(400, f"body_base64: {error}") from error
