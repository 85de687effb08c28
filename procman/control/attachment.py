"""Somebody at a terminal of his own sits down at a process's terminal, and leaves it again.

The request is ``{"verb": "attach", "targets": ["netshop"], "rows": 24, "columns": 80, "restart": true}``. What is told
is ``restarted`` where it had no terminal yet, ``attached``, then ``output``; what is said is ``keys`` and ``size``.
Bytes travel as text in Latin-1, which has each of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from procman.control.conversation import Conversation
from procman.errors import StoresError
from procman.process.bell import Bell
from procman.process.supervised import Supervised
from procman.process.terminal import Terminal
from procman.state import ALIVE, BROKEN

#: What may wait for a slow terminal before the oldest of it is left out, in bytes.
_WAITING = 1024 * 1024


class Attachment:
    """One person at one process's terminal."""

    def __init__(self, conversation: Conversation, process: Supervised, bell: Bell) -> None:
        self._conversation = conversation
        self._process = process
        self._bell = bell
        self._waiting = bytearray()
        self._arrived = asyncio.Event()

    async def attend(self) -> dict[str, Any]:
        """Returns when he leaves, or when the process has ended: ``{"ended": …}`` says how, empty where it goes on."""
        terminal = await self._terminal()
        self._hear(terminal.last)
        terminal.viewers.add(self._hear)
        tasks = [
            asyncio.create_task(work) for work in (self._tell(), self._listen(terminal), self._until_ended(terminal))
        ]
        try:
            await self._conversation.tell(attached=self._process.name, pid=self._process.pid)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            terminal.viewers.discard(self._hear)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._waiting:
            await self._tell_all()
        return {"ended": self._process.exit if tasks[2].done() and not tasks[2].cancelled() else ""}

    async def _terminal(self) -> Terminal:
        """The process's terminal. Where it has none, it is started anew with one, if that may be."""
        process, request = self._process, self._conversation.request
        if process.state not in ALIVE:
            raise StoresError(f"{process.name} does not run", f"Start it: stores start {process.name}", exit_code=3)
        if process.output.terminal is None:
            if not request.get("restart"):
                raise StoresError(
                    f"{process.name} was started without a terminal",
                    f"Start it anew with one: stores attach {process.name}. Or for good: terminal = true in its file",
                )
            process.take_terminal()
            await self._conversation.tell(restarted=process.name)
            process.restart()
            await self._bell.until(
                lambda: (process.output.terminal is not None and process.pid is not None) or process.state in BROKEN
            )
        terminal = process.output.terminal
        if terminal is None:
            raise StoresError(f"{process.name}: {process.problem}", f"See what it wrote: stores logs {process.name}")
        self._resize(terminal, [request.get("rows"), request.get("columns")])
        return terminal

    def _hear(self, data: bytes) -> None:
        self._waiting += data
        del self._waiting[: max(0, len(self._waiting) - _WAITING)]
        self._arrived.set()

    async def _tell(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                await self._arrived.wait()
                await self._tell_all()

    async def _tell_all(self) -> None:
        self._arrived.clear()
        data = bytes(self._waiting)
        self._waiting.clear()
        await self._conversation.tell(output=data.decode("latin-1"))

    async def _listen(self, terminal: Terminal) -> None:
        """What he types, until he leaves."""
        with contextlib.suppress(OSError, ValueError):
            while line := await self._conversation.reader.readline():
                said = json.loads(line)
                if "keys" in said:
                    terminal.type(str(said["keys"]).encode("latin-1", "replace"))
                if "size" in said:
                    self._resize(terminal, said["size"])

    async def _until_ended(self, terminal: Terminal) -> None:
        process = self._process
        await self._bell.until(lambda: process.pid is None or process.output.terminal is not terminal)

    @staticmethod
    def _resize(terminal: Terminal, size: Any) -> None:
        if isinstance(size, list) and all(isinstance(number, int) and 0 < number < 10_000 for number in size):  # noqa: PLR2004 (no window is larger)
            terminal.resize(*size)
