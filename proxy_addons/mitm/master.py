"""mitmproxy with the chain of addons: it answers what the front does not pass straight through.

It takes most of a second to import, in which the front serves already: `bring_up` does that beside the loop.
"""

# mypy: disallow-untyped-calls=False
# mitmproxy is typed in parts only.
from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import proxy_addons.mitm.lean_import  # noqa: F401 - before anything of mitmproxy's

# isort: split
from mitmproxy import options
from mitmproxy.addons import proxyserver
from mitmproxy.master import Master

from proxy_addons.mitm.server import Connection, Layers, StoresMode, StoresServer
from proxy_addons.mitm.tls import Tls
from proxy_addons.view import View

if TYPE_CHECKING:
    from pathlib import Path

    from mitmproxy.http import HTTPFlow

    from proxy_addons.authorities import Authorities

#: What makes the chain; it is given the way to end a flow whose upstream does not answer.
Chain = Callable[[Callable[["HTTPFlow"], None]], list[Any]]


class Mitm:
    """mitmproxy's master, with our addons in it."""

    def __init__(self, folder: Path, authorities: Authorities, chain: Chain) -> None:
        """`folder`: for what it keeps."""
        self._authorities = authorities
        self._layers = Layers()
        self._tls = Tls(folder, authorities)
        self._proxy = proxyserver.Proxyserver()
        self._master = Master(options.Options(confdir=str(folder)), event_loop=asyncio.get_running_loop())
        self._master.addons.add(self._proxy, self._layers, self._tls, *chain(self._give_up))
        # server: mitmproxy shall open no port of its own; the front has them
        self._master.options.update(server=False, connection_strategy="lazy")
        self.server = StoresServer(StoresMode.parse("stores"), self._proxy)

    async def run(self) -> None:
        """Returns after `shutdown`."""
        await self._master.run()

    def shutdown(self) -> None:
        """Asks it to end."""
        self._master.shutdown()

    def told(self, view: View) -> None:
        """Follows a new snapshot."""
        self._tls.told(view)
        _ = self._authorities.authority  # what is wrong with it is said now, and not with somebody's first request

    def serving(self) -> set[str]:
        """The services that have an open request here."""
        return self._layers.serving()

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self._layers.busy

    @property
    def connected(self) -> bool:
        """Whether a client's connection is open."""
        return bool(self._proxy.connections)

    def end_connections(self) -> None:
        """Closes what clients hold open."""
        for connection in list(self._proxy.connections.values()):
            if isinstance(connection, Connection):
                connection.end()

    def _give_up(self, flow: HTTPFlow) -> None:
        handler = self._proxy.connections.get(flow.client_conn.id)
        if handler is not None and flow.server_conn in handler.transports:
            handler.close_connection(flow.server_conn)
