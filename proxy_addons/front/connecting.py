"""A request whose upstream connection is still being made."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from proxy_addons.front.exchange import Asker, Request

if TYPE_CHECKING:
    from proxy_addons.front.grpc_call import Call
    from proxy_addons.front.upstream import Upstream

_log = logging.getLogger(__name__)

#: Bytes of a body that are kept until there is somebody to send them to.
_MOST_KEPT = 256 * 1024


class Connecting:
    """The exchange until a connection takes over (`exchange.Exchange`)."""

    __slots__ = ("_asker", "_ended", "_failed", "_head", "_held", "_paused", "_pieces", "_request", "_size", "_task")

    def __init__(
        self, request: Request, head: bytes, asker: Asker, failed: Callable[[Request, Asker, OSError], None]
    ) -> None:
        self._request = request
        self._head = head
        self._asker: Asker | None = asker
        self._failed = failed
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = self._held = self._paused = False
        self._task: asyncio.Task[None] | None = None

    def start(self, opened: Awaitable[Upstream | Call], data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Exchange.send`
        """Waits for `opened` in a task of its own."""
        if self._asker is not None:
            self._asker.exchange = self
        self.send(data, ended)
        self._task = asyncio.get_running_loop().create_task(self._run(opened))

    async def _run(self, opened: Awaitable[Upstream | Call]) -> None:
        try:
            upstream = await opened
        except OSError as error:
            self._fail(error)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the client must not wait for ever
            _log.exception("No connection for a request, by a fault")
            self._fail(ConnectionError(f"a fault in the gateway: {error}"))
            return
        if (asker := self._leave()) is None:
            upstream.close()
            return
        upstream.begin(self._request, self._head, asker, b"".join(self._pieces), self._ended)
        if self._paused:
            upstream.pause()
        if self._held:
            asker.resume_body()

    def _fail(self, error: OSError) -> None:
        if (asker := self._leave()) is not None:
            self._failed(self._request, asker, error)

    def _leave(self) -> Asker | None:
        asker, self._asker = self._asker, None
        if asker is not None:
            asker.exchange = None
        return asker

    def send(self, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Exchange.send`
        """Keeps it."""
        self._pieces.append(data)
        self._size += len(data)
        self._ended = ended
        if self._size > _MOST_KEPT and not self._held and not ended and self._asker is not None:
            self._held = True
            self._asker.hold_body()

    def abort(self) -> None:
        """The client is gone."""
        self._leave()
        if self._task is not None:
            self._task.cancel()

    def pause(self) -> None:
        """Kept for the connection."""
        self._paused = True

    def resume(self) -> None:
        """Kept for the connection."""
        self._paused = False
