"""What commands ask over the Unix socket, and what they are told: one JSON object a line, both ways.

A connection carries one request, ``{"verb": "restart", "targets": ["netshop"]}``. The answer is any number of lines
that tell of the way (``state``, ``line``, ``snapshot``) and a last one: ``{"ok": …}`` or ``{"error": {…}}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import traceback
from collections.abc import Callable
from pathlib import Path

from procman.control.conversation import Conversation
from procman.control.verbs import Verbs
from procman.errors import StoresError
from procman.machine.watch import watch
from procman.paths import Paths

_REQUEST_LIMIT = 1024 * 1024

#: Seconds until the next try where the socket's folder cannot be made again yet (a logout takes it, a login brings it).
_TRY_AGAIN = 5.0


def _nothing() -> None:
    """Nothing is watched."""


class Control:
    """The socket, and every conversation on it."""

    def __init__(self, verbs: Verbs, note: Callable[[str, str], None]) -> None:
        self._verbs = verbs
        self._note = note
        self._conversations: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server
        self._unwatch: Callable[[], None] = _nothing
        self._again: asyncio.Task[None] | None = None

    async def serve(self, paths: Paths) -> None:
        """Listens where only its owner may, and anew where the socket is removed: by a logout, or who tidies up."""
        self._server = await self._listen(paths.socket)
        with contextlib.suppress(OSError):  # no inotify instance left: then it is not noticed
            loop = asyncio.get_running_loop()
            self._unwatch = watch(loop, [paths.socket.parent], lambda: self._look_after(paths))

    def stop_listening(self) -> None:
        """Takes no more requests; those that came are answered."""
        self._unwatch()
        if self._again:
            self._again.cancel()
        self._server.close()

    def _look_after(self, paths: Paths) -> None:
        if self._again is None and not paths.socket.exists():
            self._again = asyncio.get_running_loop().create_task(self._serve_again(paths))

    async def _serve_again(self, paths: Paths) -> None:
        self._unwatch()
        self._unwatch = _nothing
        while True:
            try:
                paths.make()
                before = self._server
                await self.serve(paths)
            except (OSError, StoresError):
                await asyncio.sleep(_TRY_AGAIN)
            else:
                break
        before.close()
        self._note("stores", f"{paths.socket} was removed, and is there again")
        self._again = None

    async def _listen(self, path: Path) -> asyncio.Server:
        """A socket left by a killed supervisor is replaced."""
        path.unlink(missing_ok=True)  # noqa: ASYNC240 (one call, while the program starts)
        listening = socket.socket(socket.AF_UNIX)
        mask = os.umask(0o177)
        try:
            listening.bind(str(path))
        except OSError:
            listening.close()
            raise
        finally:
            os.umask(mask)
        return await asyncio.start_unix_server(self._connected, sock=listening, limit=_REQUEST_LIMIT)

    async def close(self) -> None:
        """Ends every conversation; whoever asked for the end is told first."""
        if self._verbs.farewells:
            await asyncio.wait(self._verbs.farewells, timeout=1.0)
        for task in self._conversations:
            task.cancel()
        await asyncio.gather(*self._conversations, self._verbs.cancel(), return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        task.add_done_callback(self._conversations.discard)
        try:
            conversation = await Conversation.begin(reader, writer)
            if conversation:
                await self._answer(conversation)
        except (OSError, ValueError, asyncio.IncompleteReadError):
            pass  # not a request, or nobody there to be told
        except asyncio.CancelledError:
            pass  # by `close` alone; asyncio before 3.12 logs a cancelled conversation as a fault
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, conversation: Conversation) -> None:
        try:
            await conversation.tell(ok=await self._verbs.answer(conversation))
        except StoresError as error:
            await conversation.refuse(error)
        except OSError as error:  # of the machine, not of the connection: then this fails, too
            await conversation.refuse(StoresError(f"That cannot be done now: {error.strerror or error}"))
        except Exception as error:  # noqa: BLE001 (whoever asked must not wait for ever, and whoever mends needs the place)
            self._note("stores", "a fault of stores itself, please report it:\n" + traceback.format_exc().rstrip())
            await conversation.refuse(StoresError(f"A fault of stores itself: {error!r}", "Please report it."))
