"""A JetStream stream on NATS as the engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from procman.errors import StoresError
from procman.event_settings import shown
from proxy_addons.events import engine_nats_settings
from proxy_addons.events.engine import Entry, OvertakenError, TooLargeError, away, stream_of
from proxy_addons.events.engine_places import Places
from proxy_addons.events.writer import StorageError

#: Seconds for an answer, and between two attempts to connect again.
_PATIENCE, _PAUSE = 5.0, 0.5
#: Entries that are asked for at once: there is a request for each.
_SIDE_BY_SIDE = 32
_FIRST = "Stores-First"
#: JetStream's error codes: "wrong last sequence" (nats-server, server/errors.json).
_WRONG_LAST = 10071


class NatsEngine:
    """See `engine.Engine`. An entry's position is its sequence in the stream; its first place is told by a header."""

    name = "nats"

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._url = parts._replace(path="", query="", fragment="").geturl()
        self._stream = stream_of(url)
        self._subject = f"{self._stream}.events"
        self.where = f"{shown(self._url)}/{self._stream}"
        self.problem = self.caution = ""
        self.on_news: Callable[[], None] = lambda: None
        self.on_loss: Callable[[], None] = lambda: None
        self._client = Client()
        self._jet: JetStreamContext | None = None
        #: What tells the stream from one that is made anew.
        self._created = ""
        #: The position of the newest entry that the log knows.
        self._last = 0
        self._places = Places()
        self._said: Exception | None = None
        #: Questions that the server has not answered yet.
        self._waiting: set[asyncio.Timeout] = set()

    async def open(self) -> str:
        """Connects, and makes the stream where there is none."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._client.connect(
                    self._url,
                    connect_timeout=2,
                    allow_reconnect=True,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=_PAUSE,  # type: ignore[arg-type]  # a time to sleep: parts of a second are fine
                    no_echo=True,  # our own entries are no news
                    error_cb=self._failed,
                    disconnected_cb=self._disconnected,
                    reconnected_cb=self._reconnected,
                )
                self._jet = self._client.jetstream(timeout=_PATIENCE)
                info = await self._info()
                await self._client.subscribe(self._subject, cb=self._heard)
        except (OSError, TimeoutError, nats.errors.Error) as error:
            await self.close()
            raise engine_nats_settings.not_opened(self.where, error, self._said) from error
        self._last = info.state.last_seq
        self._created = str(info.created)
        return f"nats {self._stream} {self._created}"

    async def _info(self) -> api.StreamInfo:
        assert self._jet is not None
        try:
            info = await self._jet.stream_info(self._stream)
        except NotFoundError:
            config = api.StreamConfig(self._stream, subjects=[self._subject], storage=api.StorageType.FILE)
            config.allow_direct = True
            info = await self._jet.add_stream(config)
        config = info.config
        if self._subject not in (config.subjects or []):
            raise StoresError(
                f"{self.where} is another program's stream: its subjects are {', '.join(config.subjects or [])}",
                'Name another one: engine = "nats://host:4222/stores-events"',
            )
        self._look(config)
        return info

    def _look(self, config: api.StreamConfig) -> None:
        self.problem = engine_nats_settings.loses(config)
        self.caution = engine_nats_settings.syncs_late(self._client.connected_server_version)

    async def append(self, first: int, data: bytes) -> None:
        """Published with the sequence that must be the last one; the id keeps two from being the first ever."""
        headers = {
            _FIRST: str(first),
            "Nats-Msg-Id": str(first),
            "Nats-Expected-Last-Sequence": str(self._last),
        }
        async with self._asking() as jet:
            try:
                ack = await jet.publish(self._subject, data, headers=headers, stream=self._stream)
            except APIError as error:
                if error.err_code == _WRONG_LAST:
                    raise OvertakenError from error
                raise StorageError(f"{self.where}: {error.description}") from error
            except NoStreamResponseError:
                await self._state(jet)  # says what is lost
                raise
            except nats.errors.MaxPayloadError as error:
                most = f"{self._client.max_payload} bytes at once: max_payload in its configuration"
                raise TooLargeError(f"{self.where} takes at most {most}") from error
        if ack.duplicate:
            raise OvertakenError
        self._last = ack.seq
        self._places.learn(first, ack.seq)

    async def read(self, after: int, limit: int) -> list[Entry]:
        """One request an entry, many at once."""
        entries: list[Entry] = []
        async with self._asking() as jet:
            state = await self._state(jet)
            position = await self._position(after + 1, state) if state.messages else state.last_seq + 1
            while position <= state.last_seq and len(entries) < limit:
                end = min(position + min(_SIDE_BY_SIDE, limit - len(entries)), state.last_seq + 1)
                found = await asyncio.gather(*(self._get(number) for number in range(position, end)))
                # a number that was deleted by hand is answered with the next one that is there
                entries += [entry for number, entry in enumerate(found, position) if entry and entry.position == number]
                position = end
        return entries

    def took(self, entry: Entry) -> None:
        """The next one is appended behind it."""
        self._last = max(self._last, entry.position)

    async def _state(self, jet: JetStreamContext) -> api.StreamState:
        """Of the stream that was opened."""
        try:
            info = await jet.stream_info(self._stream)
        except NotFoundError:
            info = None
        if info is None or str(info.created) != self._created:
            self.problem = f"{self.where} was deleted, or begun anew"
            self.on_loss()
            raise StorageError(self.problem)
        return info.state

    async def _position(self, place: int, state: api.StreamState) -> int:
        """Of the entry in which a place is: the last one whose first place is not after it."""
        low, high = self._places.between(place, state.first_seq, state.last_seq)
        while low < high:
            middle = (low + high + 1) // 2
            message = await self._message(middle)
            while message and message.seq and not (message.headers or {}).get(_FIRST):
                message = await self._message(message.seq + 1)  # somebody else's tells nothing
            first = int((message.headers or {})[_FIRST]) if message else place + 1
            low, high = (middle, high) if first <= place else (low, middle - 1)
        return low

    async def _message(self, position: int) -> api.RawStreamMsg | None:
        """The message there, or the next one that is."""
        try:
            return await self._connected().get_msg(
                self._stream, seq=position, subject=self._subject, direct=True, next=True
            )
        except NotFoundError:
            return None

    async def _get(self, position: int) -> Entry | None:
        message = await self._message(position)
        if message is None or message.seq is None:
            return None
        first = (message.headers or {}).get(_FIRST)
        if first is None:
            return Entry(message.seq, b"")
        self._places.learn(int(first), message.seq)
        return Entry(message.seq, message.data or b"")

    async def trim(self, entry: Entry) -> None:
        """JetStream purges up to a sequence."""
        async with self._asking() as jet:
            await jet.purge_stream(self._stream, seq=entry.position + 1)
        self._places.forget(entry.position)

    async def facts(self) -> dict[str, int]:
        """As the stream counts."""
        async with self._asking() as jet:
            state = await self._state(jet)
        return {"bytes": state.bytes, "entries": state.messages}

    @contextlib.asynccontextmanager
    async def _asking(self) -> AsyncIterator[JetStreamContext]:
        """Around a question to the server: once the connection is lost, nobody waits for an answer as nats-py would."""
        try:
            async with asyncio.timeout(None) as waiting:
                self._waiting.add(waiting)
                try:
                    yield self._connected()
                finally:
                    self._waiting.discard(waiting)
        except (OSError, TimeoutError, nats.errors.Error) as error:
            raise away(self.where, error) from error

    def _connected(self) -> JetStreamContext:
        """Where it is known that nobody answers, nobody has to wait."""
        if self._jet is None or not self._client.is_connected:
            raise away(self.where, ConnectionError(self.problem or "no connection"))
        return self._jet

    async def close(self) -> None:
        """At once: there is nothing that was not answered."""
        self._client.options["error_cb"] = self._client.options["disconnected_cb"] = None
        with contextlib.suppress(OSError, nats.errors.Error, TimeoutError):
            await self._client.close()

    async def _heard(self, _: Msg) -> None:
        self.on_news()

    async def _failed(self, error: Exception) -> None:
        """nats-py would log it; whoever asks is told by `problem`. A refusal says more than what it ends with."""
        if self._said is None or not engine_nats_settings.refuses(self._said):
            self._said = error

    async def _disconnected(self) -> None:
        self.problem = f"{self.where} is not reached"
        waiting, self._waiting = self._waiting, set()
        for one in waiting:
            one.reschedule(asyncio.get_running_loop().time())

    async def _reconnected(self) -> None:
        self.problem = ""
        with contextlib.suppress(OSError, TimeoutError, StorageError, nats.errors.Error):
            async with self._asking() as jet:
                await self._state(jet)
                self._look((await jet.stream_info(self._stream)).config)
        self.on_news()
