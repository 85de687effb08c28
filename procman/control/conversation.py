"""One connection to the control socket: its request, and the lines that answer it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from procman.errors import StoresError


class Conversation:
    """A request that was read, and the way to answer it."""

    def __init__(self, request: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.request = request
        self.reader = reader
        self._writer = writer

    @classmethod
    async def begin(cls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Conversation | None:
        """Reads the request. None where the other end leaves before it is whole. Raises ``ValueError`` for nonsense."""
        line = await reader.readline()
        if not line.endswith(b"\n"):
            return None
        try:
            request = json.loads(line)
        except RecursionError as error:
            raise ValueError("a request has no lists within lists without end") from error
        if not isinstance(request, dict) or not isinstance(request.get("targets") or [], list):
            raise ValueError("a request is a JSON object, its targets are a list")  # noqa: TRY004 (the value is wrong)
        return cls(request, reader, writer)

    @property
    def verb(self) -> str:
        """What is asked."""
        return str(self.request.get("verb"))

    @property
    def targets(self) -> list[str]:
        """What the request is about; none means all."""
        return [str(target) for target in self.request.get("targets") or []]

    async def tell(self, **line: Any) -> None:
        """Sends one line. Raises ``OSError`` when the other end has gone."""
        self._writer.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        await self._writer.drain()

    async def refuse(self, error: StoresError) -> None:
        """Sends the last line of a request that failed."""
        await self.tell(error={"message": error.message, "hint": error.hint, "exit": error.exit_code})

    async def gone(self) -> None:
        """Returns when the other end has closed the connection."""
        while await self.reader.read(4096):
            pass

    async def close(self) -> None:
        """Ends it."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
