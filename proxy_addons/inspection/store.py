"""What is kept, in mitmproxy's own view: so many requests, so many bytes, the oldest go first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Final

from mitmproxy.addons.view import View

from proxy_addons.inspection.record import Record

if TYPE_CHECKING:
    from mitmproxy.flow import Flow

#: Requests, and bytes of all of them together.
MOST_REQUESTS: Final = 1000
MOST_BYTES: Final = 32 * 1024 * 1024
#: Seconds for which a search has the event loop at a time.
_TURN: Final = 0.005

Filter = Callable[["Flow"], Any]


class Store:
    """`listeners` hear of each record that is new, has changed (also often) or is gone."""

    def __init__(self, most_requests: int = MOST_REQUESTS, most_bytes: int = MOST_BYTES) -> None:
        self._most_requests = most_requests
        self._most_bytes = most_bytes
        self._view = View()
        self._records: dict[str, Record] = {}
        self._sizes: dict[str, int] = {}
        self._last = 0
        self.bytes = 0
        self.listeners: set[Callable[[Record, bool], None]] = set()

    def __len__(self) -> int:
        return len(self._records)

    def add(self, record: Record) -> None:
        """A new one; it gets its number."""
        self._last += 1
        record.flow.id = str(self._last)
        self._records[record.flow.id] = record
        self._view.add([record.flow])
        self.changed(record)

    def changed(self, record: Record) -> None:
        """More is known of it."""
        number = record.flow.id
        if self._records.get(number) is not record:
            return
        size = record.size
        self.bytes += size - self._sizes.get(number, 0)
        self._sizes[number] = size
        self._view.update([record.flow])
        self._tell(record, gone=False)
        while len(self._records) > self._most_requests or (self.bytes > self._most_bytes and len(self._records) > 1):
            self._remove(next(iter(self._records)))

    def more(self, record: Record, size: int) -> None:
        """A body has grown."""
        number = record.flow.id
        if self._records.get(number) is not record:
            return
        self.bytes += size
        self._sizes[number] += size
        self._tell(record, gone=False)
        if self.bytes > self._most_bytes:
            self.changed(record)

    def get(self, number: str) -> Record | None:
        """By its number."""
        return self._records.get(number)

    def clear(self) -> int:
        """Forgets all; returns how many there were."""
        numbers = list(self._records)
        for number in numbers:
            self._remove(number)
        return len(numbers)

    def newest(self, before: str = "") -> list[Record]:
        """All, or those older than one of them, the newest first."""
        limit = int(before) if before else self._last + 1
        return [record for number, record in reversed(self._records.items()) if int(number) < limit]

    async def found(self, target: str = "", fits: Filter | None = None, before: str = "") -> AsyncIterator[Record]:
        """Those that fit, the newest first. A long search lets others have their turn."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _TURN
        for record in self.newest(before):
            if loop.time() > until:
                await asyncio.sleep(0)
                until = loop.time() + _TURN
            if target and target not in {record.target, record.service}:
                continue
            if fits is None or fits(record.current()):
                yield record

    def _remove(self, number: str) -> None:
        record = self._records.pop(number)
        self.bytes -= self._sizes.pop(number)
        self._view.remove([record.flow])
        record.request_body.let_go()
        record.response_body.let_go()
        self._tell(record, gone=True)

    def _tell(self, record: Record, *, gone: bool) -> None:
        for listener in list(self.listeners):
            listener(record, gone)
