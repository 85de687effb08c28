"""The records that have changed, for one who listens: gathered between two looks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy_addons.inspection.inspection import Inspection
    from proxy_addons.inspection.record import Record
    from proxy_addons.inspection.store import Filter, Store


class Following:
    """What has changed since it was last taken: at most as much as the store keeps."""

    def __init__(self, inspection: Inspection, names: set[str], fits: Filter | None) -> None:
        """`names`: of what is inspected, or of services; none: all."""
        self._inspection = inspection
        self._names = names
        self._fits = fits
        self._changed: dict[str, Record] = {}
        self._news = asyncio.Event()
        self._store: Store | None = None
        inspection.listeners.add(self._turned)
        self._turned()

    def _turned(self) -> None:
        """Another store may be there by now."""
        if self._store is not self._inspection.store:
            self._leave()
            self._store = self._inspection.store
            if self._store is not None:
                self._store.listeners.add(self._told)
        self._news.set()

    def _told(self, record: Record, gone: bool) -> None:  # noqa: FBT001 - as the store calls it
        if self._names and not self._names & {record.target, record.service}:
            return
        if gone:
            self._changed.pop(record.flow.id, None)
        else:
            self._changed[record.flow.id] = record
        self._news.set()

    def taken(self) -> list[Record]:
        """Those that fit, in the order in which they came."""
        found, self._changed = list(self._changed.values()), {}
        return [one for one in found if self._fits is None or self._fits(one.current())]

    async def more(self) -> None:
        """Returns when something is another than it was."""
        await self._news.wait()
        self._news.clear()

    def _leave(self) -> None:
        if self._store is not None:
            self._store.listeners.discard(self._told)

    def close(self) -> None:
        """Nobody listens any more."""
        self._inspection.listeners.discard(self._turned)
        self._leave()
