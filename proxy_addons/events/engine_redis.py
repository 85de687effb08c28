"""A stream of Redis as the engine."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from procman.errors import StoresError
from procman.event_settings import shown
from proxy_addons.events import cancellation
from proxy_addons.events.engine import LET_IN, Entry, OvertakenError, away, stream_of
from proxy_addons.events.writer import StorageError

#: Seconds for an answer, to connect, and between two attempts to listen again: the first, and the longest.
_PATIENCE, _CONNECT = 5.0, 2.0
_FIRST_PAUSE, _LAST_PAUSE = 0.2, 5.0
_FIELD = b"e"
_GONE = (OSError, RedisConnectionError, RedisTimeoutError)


class RedisEngine:
    """See `engine.Engine`. An entry's id is ``<its first place>-0``: Redis takes only ids that grow."""

    name = "redis"

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)._replace(path="").geturl()
        self._key = stream_of(url)
        self.where = f"{shown(self._url)}/{self._key}"
        self.problem = self.caution = ""
        self.on_news: Callable[[], None] = lambda: None
        self.on_loss: Callable[[], None] = lambda: None
        #: What tells the stream from one that is made anew.
        self._id = b""
        self._client: Any = None
        self._ear: Any = None
        #: Of our own appends, whose news are none.
        self._own: set[bytes] = set()
        self._listening: asyncio.Task[None] | None = None

    async def open(self) -> str:
        """Connects, and notes which stream it is."""
        self._client = Redis.from_url(
            self._url,
            # an append that is sent twice is refused the second time
            retry=Retry(NoBackoff(), 1),
            socket_timeout=_PATIENCE,
            socket_connect_timeout=_CONNECT,
        )
        # it listens for as long as nothing comes
        self._ear = Redis.from_url(self._url, socket_connect_timeout=_CONNECT, socket_keepalive=True)
        try:
            await self._check()
            # the id goes with the stream: made with it, and lost with it
            await self._client.set(f"{self._key}:id", uuid.uuid4().hex, nx=True)
            self._id = await self._client.get(f"{self._key}:id")
            await self._look()
        except (AuthenticationError, AuthorizationError, NoPermissionError) as error:  # some are a ConnectionError, too
            await self.close()
            raise StoresError(f"{self.where} does not let us in: {error}", LET_IN) from error
        except _GONE as error:
            await self.close()
            raise away(self.where, error) from error
        except RedisError as error:
            await self.close()
            raise StoresError(f"{self.where}: {error}", "See: redis-cli info") from error
        except BaseException:
            await self.close()
            raise
        self._listening = asyncio.create_task(self._listen())
        return f"redis {self._key} {self._id.decode()}"

    async def _check(self) -> None:
        kind = await self._client.type(self._key)
        if kind not in {b"stream", b"none"}:
            raise StoresError(
                f"{self.where} is another program's: its type is {kind.decode()}",
                'Name another one: engine = "redis://host:6379/stores-events"',
            )

    async def _look(self) -> None:
        """Notes what in the server's configuration loses what it has acknowledged. It may keep that to itself."""
        try:
            found = await self._client.config_get("appendonly", "appendfsync", "maxmemory-policy")
        except ResponseError:
            found = {}
        self.problem, self.caution = _loses(found), _syncs_late(found)

    async def append(self, first: int, data: bytes) -> None:
        """One command; the others are told."""
        try:
            pipe = self._client.pipeline(transaction=False)
            pipe.xadd(self._key, {_FIELD: data}, id=f"{first}-0")
            pipe.publish(f"{self._key}:news", first)
            pipe.get(f"{self._key}:id")
            self._own.add(b"%d" % first)
            added, _, log_id = await pipe.execute(raise_on_error=False)
        except (*_GONE, RedisError) as error:
            self._own.discard(b"%d" % first)  # should it be there all the same, that is news
            raise self._failed(error) from error
        if isinstance(added, ResponseError) and "equal or smaller" in str(added):
            raise OvertakenError
        if isinstance(added, Exception):
            raise self._failed(added) from added
        if log_id != self._id:
            self.on_loss()  # what was appended just now is the first one of another stream

    async def read(self, after: int, limit: int) -> list[Entry]:
        """By ids, which are places."""
        try:
            rows = await self._client.xrange(self._key, await self._begin(after + 1), "+", limit)
        except (*_GONE, RedisError) as error:
            raise self._failed(error) from error
        return [Entry(int(name.partition(b"-")[0]), fields.get(_FIELD, b"")) for name, fields in rows]

    async def _begin(self, place: int) -> bytes:
        """The id of the newest entry of a broker that begins there or before it."""
        highest = b"%d-0" % place
        while found := await self._client.xrevrange(self._key, highest, "-", 1):
            ((name, fields),) = found
            if _FIELD in fields:
                return bytes(name)
            highest = b"(" + name
        return b"%d-0" % place

    def took(self, entry: Entry) -> None:
        """Redis itself takes nothing that is not behind all others."""

    async def trim(self, entry: Entry) -> None:
        """XTRIM drops what is below an id."""
        await self._ask(self._client.xtrim(self._key, minid=f"{entry.position + 1}-0", approximate=False))

    async def facts(self) -> dict[str, int]:
        """What the stream takes of the server's memory, from a sample of it."""
        used = await self._ask(self._client.memory_usage(self._key))
        return {"bytes": used or 0, "entries": await self._ask(self._client.xlen(self._key))}

    async def _ask(self, asked: Any) -> Any:
        try:
            return await asked
        except (*_GONE, RedisError) as error:
            raise self._failed(error) from error

    def _failed(self, error: BaseException) -> StorageError:
        return away(self.where, error) if isinstance(error, _GONE) else StorageError(f"{self.where}: {error}")

    async def _listen(self) -> None:
        """Hears of other brokers' entries, and notices when the server goes and comes."""
        pause = _FIRST_PAUSE
        while True:
            channel = self._ear.pubsub()
            try:
                with cancellation.kept():
                    await channel.subscribe(f"{self._key}:news")
                async with contextlib.aclosing(channel.listen()) as messages:
                    while message := await self._next(messages):
                        pause = _FIRST_PAUSE
                        await self._hear(message)
            except (*_GONE, RedisError) as error:
                self.problem = str(away(self.where, error))
            finally:
                with contextlib.suppress(*_GONE, RedisError):
                    await channel.aclose()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LAST_PAUSE)

    @staticmethod
    async def _next(messages: AsyncIterator[dict[str, Any]]) -> dict[str, Any] | None:
        with cancellation.kept():
            return await anext(messages, None)

    async def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            self._own.clear()
            with cancellation.kept():
                await self._look()
                log_id = await self._client.get(f"{self._key}:id")
            if log_id != self._id:
                self.problem = f"{self.where} was deleted, or begun anew"
                self.on_loss()
        elif message["data"] in self._own:
            self._own.discard(message["data"])
            return
        self.on_news()

    async def close(self) -> None:
        """Ends the connections."""
        if self._listening:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        for client in filter(None, (self._client, self._ear)):
            with contextlib.suppress(*_GONE, RedisError):
                await client.aclose()


def _loses(found: dict[str, str]) -> str:
    if found.get("appendonly") == "no":
        return "Redis keeps nothing on the disk: redis-cli config set appendonly yes (and appendfsync always)"
    policy = found.get("maxmemory-policy", "")
    if policy.startswith("allkeys"):
        return f"Redis may drop the stream ({policy}): redis-cli config set maxmemory-policy noeviction"
    return ""


def _syncs_late(found: dict[str, str]) -> str:
    policy = found.get("appendfsync", "always")
    if policy == "always":
        return ""
    lost = "a second" if policy == "everysec" else "half a minute"  # the kernel's own write-back: 30 s
    return (
        f"Redis syncs later than it acknowledges (appendfsync {policy}): if its machine loses power, up to {lost} of "
        "acknowledged events is lost. redis-cli config set appendfsync always"
    )
