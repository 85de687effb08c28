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
from procman.snapshot import Findings, Snapshot
from procman.state import State

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

    async def logs(self, service: str, count: int) -> list[tuple[str, str]]:
        """The last `count` lines of a service's output, each with its process's name.

        Raises `StoresError` when they cannot be had.
        """
        lines = await self._ask({"verb": "logs", "targets": [service], "n": count})
        return [_line(answer["line"]) for answer in lines if "line" in answer]

    async def follow(self, service: str) -> AsyncGenerator[list[tuple[str, str]], None]:
        """The new lines of a service's output as they come, each with its process's name.

        The first list is empty: from then on, no line is missed. Raises `StoresError` when it cannot go on.
        """
        try:
            async with self._connection({"verb": "logs", "targets": [service], "follow": True}) as (reader, _):
                while line := await reader.readline():
                    answer = json.loads(line)
                    if "error" in answer:
                        raise StoresError(answer["error"].get("message", ""))
                    if "begins" in answer:
                        yield []
                    elif "line" in answer:
                        yield [_line(answer["line"])]
        except (OSError, ValueError) as error:
            raise StoresError(f"The supervisor does not answer: {error}", "stores status") from error

    async def hear(self, targets: list[str]) -> AsyncGenerator[dict[str, Any], None]:
        """What some processes write, as the control socket tells it: ``begins`` once, then each ``line``, ``missed``.

        Raises `StoresError` when it cannot go on.
        """
        question = {"verb": "logs", "targets": targets, "follow": True}
        try:
            async with self._connection(question) as (reader, _):
                while line := await reader.readline():
                    told = json.loads(line)
                    if "error" in told:
                        raise StoresError(told["error"].get("message", ""), told["error"].get("hint", ""))
                    yield told
        except (OSError, ValueError) as error:
            raise StoresError(f"The supervisor does not answer: {error}", "stores status") from error

    async def start(self, service: str, *, again: bool = False) -> None:
        """Starts a service and what it needs; `again`: anew, if it runs. Returns when it is ready, however long.

        Raises `StoresError` with the supervisor's own words when it cannot.
        """
        verb = "restart" if again else "start"
        await self._ask({"verb": verb, "targets": [service], "urgent": True}, patience=None)

    async def steer(self, verb: str, targets: list[str]) -> list[dict[str, Any]]:
        """`start`, `stop` or `restart`, as a command would; name, state and PID of each process that was meant.

        Returns when it is done, however long. Raises `StoresError` with the supervisor's own words.
        """
        *_, last = await self._ask({"verb": verb, "targets": targets}, patience=None)
        return list(last["ok"]) if isinstance(last["ok"], list) else []

    async def sleep(self, service: str) -> str:
        """Stops a service that nobody uses. Returns why it stays; empty: it is gone. Raises `StoresError`."""
        *_, last = await self._ask({"verb": "sleep", "targets": [service]}, patience=None)
        return str(last["ok"].get(service, "")) if isinstance(last["ok"], dict) else ""

    async def advise(self, service: str, advice: str) -> None:
        """Has its people told what it has to set, until it is started again. Raises `StoresError`."""
        await self._ask({"verb": "advise", "targets": [service], "advice": advice})

    async def runs_outside(self, service: str) -> bool:
        """Looks whether somebody started it by hand. Raises `StoresError` when that cannot be had."""
        *_, last = await self._ask({"verb": "probe", "targets": [service]})
        found = last["ok"] if isinstance(last["ok"], list) else []
        return any(process.get("state") == State.EXTERNAL for process in found)

    async def examine(self, service: str) -> Findings:
        """What only a look at the machine tells of it. Raises `StoresError` when that cannot be had."""
        *_, last = await self._ask({"verb": "examine", "targets": [service]})
        try:
            return Findings.from_json(last["ok"][service])
        except (KeyError, TypeError) as error:
            raise StoresError(f"The supervisor says something else: {error!r}", "stores status") from error

    async def _ask(self, question: dict[str, Any], patience: float | None = _PATIENCE) -> list[dict[str, Any]]:
        """All lines of the answer, the last one included."""
        try:
            async with asyncio.timeout(patience), self._connection(question) as (reader, _):
                answers: list[dict[str, Any]] = []
                while line := await reader.readline():
                    answer = json.loads(line)
                    if "error" in answer:
                        raise StoresError(answer["error"].get("message", ""), answer["error"].get("hint", ""))
                    answers.append(answer)
                    if "ok" in answer:
                        return answers
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


def _line(told: dict[str, Any]) -> tuple[str, str]:
    return str(told.get("name", "")).partition(".")[2], str(told.get("text", ""))
