"""The gateway's side of the supervisor's control socket: one JSON object a line, on a Unix socket.

On one connection, which is kept, the supervisor tells what runs (`watch`); a question gets a short one of its own.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Never

from procman.errors import StoresError
from procman.snapshot import Snapshot

_log = logging.getLogger(__name__)

#: Seconds between two attempts to reach a supervisor that is gone: the first pause, and the longest.
FIRST_PAUSE, LAST_PAUSE = 0.1, 2.0
#: A snapshot is one line; asyncio's default limit of 64 KiB ends at some hundred services.
_LONGEST_LINE = 16 * 1024 * 1024
#: Seconds that a question may take. A page waits for the answer, and is better without log lines than late.
_PATIENCE = 2.0


class Supervisor:
    """Talks to the supervisor that listens on `socket`."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def watch(self, told: Callable[[Snapshot], Awaitable[None]]) -> Never:
        """Calls `told` with every snapshot, for ever; says "ready" once `told` has returned from a connection's first.

        While there is no supervisor, nothing is told: what was told last stays true. The pause between two attempts is
        the gateway's only timer, and runs in that state alone.
        """
        pause, lost = FIRST_PAUSE, False
        while True:
            try:
                async with aclosing(self._snapshots()) as snapshots:
                    async for snapshot in snapshots:
                        if lost:
                            _log.warning("The supervisor is back.")
                        pause, lost = FIRST_PAUSE, False
                        await told(snapshot)
                problem = "it closed the connection"
            except (OSError, ValueError, KeyError, TypeError) as error:
                problem = f"{type(error).__name__}: {error}"
            if not lost:
                _log.warning("No word from the supervisor (%s): serving what was known last.", problem)
                lost = True
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE)

    async def _snapshots(self) -> AsyncGenerator[Snapshot, None]:
        async with self._connection({"verb": "watch", "as": "gateway"}) as (reader, writer):
            ready = False
            while (snapshot := await self._snapshot(reader)) is not None:
                yield snapshot  # and the caller has taken it in when this goes on
                if not ready:
                    writer.write(b'{"ready": true}\n')
                    ready = True

    @staticmethod
    async def _snapshot(reader: asyncio.StreamReader) -> Snapshot | None:
        while line := await reader.readline():
            message = json.loads(line)
            if "snapshot" in message:
                return Snapshot.from_json(message["snapshot"])
        return None

    async def logs(self, service: str, count: int) -> list[str]:
        """The last `count` lines of a service's output. Raises `StoresError` when they cannot be had."""
        lines = await self._ask({"verb": "logs", "targets": [service], "n": count})
        return [str(answer["line"].get("text", "")) for answer in lines if "line" in answer]

    async def start(self, service: str) -> None:
        """Starts a service. Raises `StoresError` with the supervisor's own words when it cannot."""
        await self._ask({"verb": "start", "targets": [service]})

    async def _ask(self, question: dict[str, Any]) -> list[dict[str, Any]]:
        try:
            async with asyncio.timeout(_PATIENCE), self._connection(question) as (reader, _):
                answers: list[dict[str, Any]] = []
                while line := await reader.readline():
                    answer = json.loads(line)
                    if "error" in answer:
                        raise StoresError(answer["error"].get("message", ""), answer["error"].get("hint", ""))
                    if "ok" in answer:
                        return answers
                    answers.append(answer)
        except (OSError, TimeoutError, ValueError) as error:
            raise StoresError(f"The supervisor does not answer: {error}", "stores status") from error
        raise StoresError("The supervisor ended in the middle of an answer", "stores status")

    @asynccontextmanager
    async def _connection(
        self, first: dict[str, Any]
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_unix_connection(str(self._socket), limit=_LONGEST_LINE)
        try:
            writer.write(json.dumps(first).encode() + b"\n")
            await writer.drain()
            yield reader, writer
        finally:
            writer.close()
