"""The front as a whole: it listens, and joins clients, dispatch and mitmproxy."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, Final

from proxy_addons.decision import LOCAL_ANSWER
from proxy_addons.front.clients import Clients
from proxy_addons.front.clock import Clock
from proxy_addons.front.dispatch import Dispatch
from proxy_addons.front.door import Door
from proxy_addons.front.slow_path import SlowPath
from proxy_addons.verdict import Verdicts
from proxy_addons.view import Current

if TYPE_CHECKING:
    from proxy_addons.mitm_server import StoresServer

#: Seconds between two ticks, at most: time-outs may be late by that.
_TICK: Final = 10.0
_TICKS_IN_PATIENCE: Final = 8


class Front:
    """Accepts connections from `serve` to `stop_accepting`."""

    def __init__(
        self,
        current: Current,
        server: StoresServer,
        verdicts: Verdicts,
        context: ssl.SSLContext,
        answer_timeout: float | None = None,
    ) -> None:
        """`server`: mitmproxy's. `context`: for TLS. `answer_timeout`: seconds, instead of the default."""
        patience = answer_timeout or LOCAL_ANSWER
        self._clock = Clock(asyncio.get_running_loop(), min(_TICK, patience / _TICKS_IN_PATIENCE))
        self._slow_path = SlowPath(server, verdicts, self._clock)
        self._dispatch = Dispatch(current, self._slow_path, self._clock, patience)
        self._clients = Clients(self._dispatch, self._clock)
        self._door = Door(self._clients, context)

    def serve(self, listeners: list[socket.socket]) -> None:
        """Accepts connections on all of them."""
        for listener in listeners:
            self._door.open(listener)

    def view_changed(self) -> None:
        """The next request of every connection is looked up anew."""
        self._dispatch.forget()

    def stop_accepting(self) -> None:
        """And closes what only waits; what runs may come to its end."""
        self._door.close()
        self._clients.close()

    @property
    def busy(self) -> bool:
        """Whether a request is being served."""
        return self._clients.busy

    def close(self) -> None:
        """Lets go of everything."""
        self._clock.stop()
        self._clients.abort()
        self._dispatch.close()
        self._slow_path.close()
