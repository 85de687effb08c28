"""The front as a whole: it listens, and joins clients, dispatch and mitmproxy."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from proxy_addons.decision import LOCAL_ANSWER
from proxy_addons.front import exchange
from proxy_addons.front.clients import Clients
from proxy_addons.front.clock import Clock
from proxy_addons.front.dispatch import Dispatch, Watched
from proxy_addons.front.door import Door
from proxy_addons.front.overhearing import Advise, Refusals
from proxy_addons.front.slow_path import SlowPath, Takes, nobody_takes
from proxy_addons.verdict import Verdicts
from proxy_addons.view import Current

if TYPE_CHECKING:
    from proxy_addons.mitm.server import StoresServer

#: Seconds between two ticks, at most: time-outs may be late by that.
_TICK: Final = 10.0
_TICKS_IN_PATIENCE: Final = 8
#: Seconds in which a request may come on a connection that was accepted already, before a restart closes it.
_LAST_CALL: Final = 0.1


class Front:
    """Accepts connections from `serve` to `stop_accepting`."""

    def __init__(
        self,
        current: Current,
        server: Callable[[], Awaitable[StoresServer]],
        verdicts: Verdicts,
        context: ssl.SSLContext,
        answer_timeout: float | None = None,
        takes: Takes = nobody_takes,
        advise: Advise = lambda _, __: None,
        watched: Watched = lambda _: None,
    ) -> None:
        """`server` waits for mitmproxy's. `context`: for TLS. `answer_timeout`: seconds, instead of the default.

        `takes`: is asked before mitmproxy is, and may answer itself. `advise`: is told what a service has to set, so
        that it knows its host. `watched`: by which name what was decided about is inspected.
        """
        patience = answer_timeout or LOCAL_ANSWER
        self._clock = Clock(asyncio.get_running_loop(), min(_TICK, patience / _TICKS_IN_PATIENCE))
        self._slow_path = SlowPath(server, verdicts, self._clock, takes)
        self._dispatch = Dispatch(current, self._slow_path, self._clock, patience, Refusals(current, advise), watched)
        self._clients = Clients(self._dispatch, self._clock)
        self._door = Door(self._clients, context)
        self._last_call: asyncio.TimerHandle | None = None

    def serve(self, listeners: list[socket.socket]) -> None:
        """Accepts connections on all of them."""
        for listener in listeners:
            self._door.open(listener)

    def view_changed(self) -> None:
        """The next request of every connection is looked up anew."""
        self._dispatch.forget()

    def stop_accepting(self) -> None:
        """Every answer is its connection's last from now on, and who does not ask in a moment is shown out."""
        self._door.close()
        self._clients.closing = True
        self._last_call = asyncio.get_running_loop().call_later(_LAST_CALL, self._close_waiting)

    def _close_waiting(self) -> None:
        self._last_call = None
        self._door.dismiss_silent()
        self._clients.close_waiting()

    def watch(self, watching: Callable[[exchange.Front], exchange.Front] | None) -> None:
        """Every request is asked through what `watching` makes of the dispatch; None: straight again, as if never."""
        self._clients.front = watching(self._dispatch) if watching is not None else self._dispatch

    def ask_mitmproxy(self, request: exchange.Request, asker: exchange.Asker, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Front.ask`
        """Has `request` answered, but never straight by its service."""
        self._slow_path.ask(request, asker, data, ended)

    def use_of(self, port: int) -> tuple[int, bool]:
        """How many requests the service on a local port has had straight from here, and whether one is open."""
        return self._dispatch.use_of(port)

    @property
    def busy(self) -> bool:
        """Whether a request is being served, or may be on its way."""
        return self._last_call is not None or self._door.busy or self._clients.busy

    def close(self) -> None:
        """Lets go of everything."""
        if self._last_call is not None:
            self._last_call.cancel()
        self._close_waiting()
        self._clock.stop()
        self._clients.abort()
        self._dispatch.close()
        self._slow_path.close()
