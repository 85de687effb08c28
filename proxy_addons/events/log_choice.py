"""Which log a broker has: the file beside its cursors, or a stream on a server."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from procman.errors import StoresError
from procman.event_settings import install, shown
from proxy_addons.events.database import Database
from proxy_addons.events.engine import Engine
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
    engine = _engine(url)
    known = Known(database, writer)
    try:
        return await EngineLog.open(engine, known, writer, lost)
    except BaseException:
        known.close()
        await engine.close()
        raise


def _engine(url: str) -> Engine:
    """The engine that a URL names, not yet connected. Raises `StoresError` where its client is not installed."""
    scheme = urlsplit(url).scheme
    try:
        if scheme == "nats":
            from proxy_addons.events.engine_nats import NatsEngine  # noqa: PLC0415 - an extra

            return NatsEngine(url)
        from proxy_addons.events.engine_redis import RedisEngine  # noqa: PLC0415 - an extra

        return RedisEngine(url)
    except ImportError as error:
        raise StoresError(
            f"{shown(url)} needs a library that is not installed: {error.name}", install(scheme)
        ) from error
