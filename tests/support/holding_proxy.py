"""A proxy between two brokers that holds back streams, as real ones do, each in its way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

#: What becomes of a stream: its head waits for its end; its body does; it comes in blocks of 4 KiB; it is cut soon.
WAYS = ("head", "body", "blocks", "cut")


class HoldingProxy:
    """Relays bytes to a port of this machine. `way`: one of `WAYS` for event streams; empty: they pass."""

    def __init__(self, upstream: int, way: str = "") -> None:
        self.upstream = upstream
        self.way = way
        self.streams = 0
        self.asked = 0
        self._writers: set[asyncio.StreamWriter] = set()

    def cut_all(self) -> None:
        """Every connection breaks."""
        for writer in self._writers:
            writer.transport.abort()

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        sides = [asyncio.create_task(self._requests(reader, back)), asyncio.create_task(self._answers(there, writer))]
        await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
        for one in sides:
            one.cancel()
        await asyncio.gather(*sides, return_exceptions=True)
        for one in (writer, back):
            self._writers.discard(one)
            one.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                self.asked += data.count(b"GET /v1/events?")
                writer.write(data)

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if b"text/event-stream" in data.partition(b"\r\n\r\n")[0]:
                    self.streams += 1
                    await self._stream(data, reader, writer, self.way)
                    return
                writer.write(data)

    async def _stream(self, data: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        head, end, held = data.partition(b"\r\n\r\n")
        if way != "head":
            writer.write(head + end)
        if way in {"", "cut"}:
            writer.write(held)
        while way != "cut" and (data := await reader.read(65536)):
            if way:
                held += data
                if way == "blocks" and len(held) >= 4096:
                    writer.write(held)
                    held = b""
            else:
                writer.write(data)


@asynccontextmanager
async def holding(upstream: int, way: str = "") -> AsyncIterator[tuple[HoldingProxy, int]]:
    """The proxy and its port."""
    proxy = HoldingProxy(upstream, way)
    server = await asyncio.start_server(proxy.relay, "127.0.0.1", 0)
    try:
        yield proxy, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        proxy.cut_all()
        await asyncio.sleep(0)
