"""Which log a broker has: the file beside its cursors, or a stream on a server."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from proxy_addons.events.database import Database
from proxy_addons.events.engine import engine_of
from proxy_addons.events.engine_log import EngineLog
from proxy_addons.events.known import Known
from proxy_addons.events.log import Log
from proxy_addons.events.sqlite_log import SqliteLog
from proxy_addons.events.writer import Writer


async def open_log(url: str, database: Database, writer: Writer, lost: Callable[[], None]) -> Log:
    """The log. Raises `StoresError` where it cannot be had, `StorageError` while its server is not reached.

    `lost` is called when it has to be opened anew.
    """
    if urlsplit(url).scheme in {"", "sqlite"}:
        return SqliteLog(database, writer)
    engine = engine_of(url)
    known = Known(database, writer)
    try:
        return await EngineLog.open(engine, known, writer, lost)
    except BaseException:
        known.close()
        await engine.close()
        raise
