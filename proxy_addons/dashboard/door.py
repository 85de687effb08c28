"""Tells the dashboard's requests from all others; the dashboard itself is loaded when the first one comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy_addons.dashboard.host import is_ours
from proxy_addons.view import Current

if TYPE_CHECKING:
    from proxy_addons.dashboard.dashboard import Dashboard
    from proxy_addons.front.exchange import Asker, Request


class Door:
    """Asked by the front before mitmproxy is, and only for what does not simply pass through."""

    def __init__(self, current: Current, make: Callable[[], Dashboard]) -> None:
        self._current = current
        self._make = make
        self._dashboard: Dashboard | None = None

    def takes(self, request: Request, asker: Asker, data: bytes, ended: bool) -> bool:  # noqa: FBT001 - as in `Exchange.send`
        """Whether `request` is for the dashboard, which answers it then."""
        host = (request.host or b"").lower()
        if request.target[:1] != b"/" or request.upgrade or not is_ours(host, self._current.view):
            return False
        if self._dashboard is None:
            self._dashboard = self._make()
        self._dashboard.visit(request, asker, data, ended)
        return True

    def close(self) -> None:
        """The gateway ends: streams do, too, so that a restart need not wait for them."""
        if self._dashboard is not None:
            self._dashboard.close()
