"""What commands ask over the Unix socket, and what they are told: one JSON object a line, both ways.

A connection carries one request, ``{"verb": "restart", "targets": ["netshop"]}``. The answer is any number of lines
that tell of the way (``state``, ``line``, ``snapshot``) and a last one: ``{"ok": …}`` or ``{"error": {…}}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from procman import log
from procman.errors import StoresError
from procman.process import Supervised
from procman.roster import GATEWAY
from procman.supervisor import Supervisor

#: Lines that wait for a slow reader before some are left out.
_WAITING_LINES = 20_000

_REQUEST_LIMIT = 1024 * 1024


class Conversation:
    """One connection: its request, and the lines that answer it."""

    def __init__(self, request: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.request = request
        self.reader = reader
        self._writer = writer

    @property
    def targets(self) -> list[str]:
        """What the request is about; none means all."""
        return [str(target) for target in self.request.get("targets") or []]

    async def tell(self, **line: Any) -> None:
        """Sends one line. Raises ``OSError`` when the other end has gone."""
        self._writer.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        await self._writer.drain()

    async def gone(self) -> None:
        """Returns when the other end has closed the connection."""
        while await self.reader.read(4096):
            pass


class Control:
    """The socket, and a method for each verb."""

    def __init__(self, supervisor: Supervisor, logs: Path) -> None:
        self._supervisor = supervisor
        self._logs = logs
        self._conversations: set[asyncio.Task[None]] = set()
        self._farewells: set[asyncio.Task[None]] = set()
        self._verbs: dict[str, Callable[[Conversation], Awaitable[Any]]] = {
            "status": self._status,
            "watch": self._watch,
            "start": self._start,
            "stop": self._stop,
            "restart": self._restart,
            "run": self._run,
            "logs": self._show_logs,
            "environment": self._environment,
            "down": self._down,
        }

    async def serve(self, path: Path) -> asyncio.Server:
        """Listens at `path`, which only its owner may open. A socket left by a killed supervisor is replaced."""
        path.unlink(missing_ok=True)  # noqa: ASYNC240 (one call, while the program starts)
        listening = socket.socket(socket.AF_UNIX)
        mask = os.umask(0o177)
        try:
            listening.bind(str(path))
        finally:
            os.umask(mask)
        return await asyncio.start_unix_server(self._connected, sock=listening, limit=_REQUEST_LIMIT)

    async def close(self) -> None:
        """Ends every conversation; whoever asked for the end is told first."""
        if self._farewells:
            await asyncio.wait(self._farewells, timeout=1.0)
        for task in tuple(self._conversations):
            task.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        task.add_done_callback(self._conversations.discard)
        try:
            line = await reader.readline()
            request = json.loads(line or b"{}")
            await self._answer(Conversation(request, reader, writer))
        except (OSError, ValueError, asyncio.IncompleteReadError):
            pass  # not a request, or nobody there to be told
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, conversation: Conversation) -> None:
        verb = self._verbs.get(str(conversation.request.get("verb")), self._unknown)
        try:
            await conversation.tell(ok=await verb(conversation))
        except StoresError as error:
            told = {"message": error.message, "hint": error.hint, "exit": error.exit_code}
            await conversation.tell(error=told)

    async def _unknown(self, conversation: Conversation) -> Any:
        raise StoresError(
            f"What runs does not know the verb {conversation.request.get('verb')!r}",
            "Is it older than this command? Start it anew: stores down, then stores up -d",
        )

    async def _status(self, conversation: Conversation) -> Any:  # noqa: ARG002 (every verb takes one)
        return self._supervisor.snapshot().to_json()

    async def _watch(self, conversation: Conversation) -> Any:
        """The state, whenever it changes. The gateway says on the same connection that it is ready."""
        listening = asyncio.create_task(self._hear_ready(conversation))
        try:
            told = None
            while not listening.done():
                snapshot = self._supervisor.snapshot().to_json()
                if snapshot != told:
                    await conversation.tell(snapshot=snapshot)
                    told = snapshot
                ring = asyncio.create_task(self._supervisor.bell.wait())
                await asyncio.wait({ring, listening}, return_when=asyncio.FIRST_COMPLETED)
                ring.cancel()
        finally:
            listening.cancel()
        return True

    async def _hear_ready(self, conversation: Conversation) -> None:
        while line := await conversation.reader.readline():
            gateway = self._supervisor.roster.processes.get(GATEWAY)
            if conversation.request.get("as") == GATEWAY and gateway and json.loads(line).get("ready"):
                gateway.mark_ready()

    async def _start(self, conversation: Conversation) -> Any:
        needs = not conversation.request.get("no_needs")
        work = self._supervisor.start(conversation.targets, needs=needs)
        return await self._told_of_states(conversation, work)

    async def _stop(self, conversation: Conversation) -> Any:
        return await self._told_of_states(conversation, self._supervisor.stop(conversation.targets))

    async def _restart(self, conversation: Conversation) -> Any:
        return await self._told_of_states(conversation, self._supervisor.restart(conversation.targets))

    async def _told_of_states(self, conversation: Conversation, work: Awaitable[list[Supervised]]) -> Any:
        """Does the work, and tells of each state on the way. It goes on when the other end leaves."""
        task = asyncio.ensure_future(work)
        states = {process.name: process.state for process in self._supervisor.roster.processes.values()}
        try:
            while not task.done():
                ring = asyncio.create_task(self._supervisor.bell.wait())
                await asyncio.wait({task, ring}, return_when=asyncio.FIRST_COMPLETED)
                ring.cancel()
                for process in list(self._supervisor.roster.processes.values()):
                    if states.get(process.name) is not process.state:
                        states[process.name] = process.state
                        told = {"name": process.name, "state": process.state, "problem": process.problem}
                        await conversation.tell(state=told)
        except OSError:
            await task
            raise
        return [{"name": process.name, "state": process.state, "pid": process.pid} for process in await task]

    async def _run(self, conversation: Conversation) -> Any:
        """A second ``stores run``: starts, shows, and stops what it started when its terminal says so."""
        supervisor = self._supervisor
        ran = {process.name for process in supervisor.running()}
        gone = asyncio.create_task(conversation.gone())
        follow = asyncio.create_task(self._follow(conversation, supervisor.roster.select(conversation.targets)))
        try:
            started = await self._told_of_states(conversation, supervisor.start(conversation.targets))
            await asyncio.wait({gone, follow}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            follow.cancel()
        mine = [process["name"] for process in started if process["name"] not in ran]
        if mine:
            await supervisor.stop(mine)
        return True

    async def _show_logs(self, conversation: Conversation) -> Any:
        request = conversation.request
        chosen = self._supervisor.roster.select(conversation.targets)
        if not conversation.targets:
            chosen.append(self._supervisor.roster.processes[GATEWAY])
        n, since = request.get("n"), float(request.get("since") or 0)
        names = [process.name for process in chosen]
        # first the listener, then the files, with no await between: no line is lost, and none is told twice
        follow = asyncio.create_task(self._follow(conversation, chosen)) if request.get("follow") else None
        for line in log.tail(self._logs, names, n=None if n is None else int(n), since=since):
            await conversation.tell(line={"at": line.at, "name": line.name, "text": _text(line.text)})
        if follow:
            gone = asyncio.create_task(conversation.gone())
            await asyncio.wait({gone, follow}, return_when=asyncio.FIRST_COMPLETED)
            follow.cancel()
            gone.cancel()
        return True

    async def _follow(self, conversation: Conversation, chosen: list[Supervised]) -> None:
        """Tells every new line of the chosen processes; a reader that is too slow is told how many it missed."""
        names = {process.name for process in chosen}
        waiting: deque[tuple[str, bytes]] = deque(maxlen=_WAITING_LINES)
        arrived = asyncio.Event()
        missed = 0

        def hear(name: str, lines: bytes) -> None:
            nonlocal missed
            if name in names:
                for text in lines[:-1].split(b"\n"):
                    missed += len(waiting) == _WAITING_LINES
                    waiting.append((name, text))
                arrived.set()

        self._supervisor.hearers.add(hear)
        try:
            while True:
                await arrived.wait()
                arrived.clear()
                while waiting:
                    name, text = waiting.popleft()
                    await conversation.tell(line={"at": time.time(), "name": name, "text": _text(text)})
                if missed:
                    await conversation.tell(missed=missed)
                    missed = 0
        finally:
            self._supervisor.hearers.discard(hear)

    async def _environment(self, conversation: Conversation) -> Any:
        """What each of the targets is told by this tool: of a service, the process that requests go to."""
        return {target: self._supervisor.told(target) for target in conversation.targets}

    async def _down(self, conversation: Conversation) -> Any:
        task = asyncio.current_task()
        assert task is not None
        self._farewells.add(task)
        self._supervisor.down.set()
        return await self._told_of_states(conversation, self._ended())

    async def _ended(self) -> list[Supervised]:
        processes = list(self._supervisor.roster.processes.values())
        await self._supervisor.end()
        return processes


def _text(line: bytes) -> str:
    """A line of any bytes as JSON can carry it; `client` turns it back into the same bytes."""
    return line.decode("utf-8", "surrogateescape")
