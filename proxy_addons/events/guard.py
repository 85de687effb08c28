"""Who may ask: pages of other sites may not, whichever way they found to this port."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from proxy_addons.events.http_message import Request
from proxy_addons.events.refusal import RefusalError

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """`domains`: a page of one of them, or of a name below it, is of this site, and so is ``localhost``."""

    def __init__(self, domains: Iterable[str]) -> None:
        self._domains = frozenset(domains) | {"localhost"}

    def check(self, request: Request) -> None:
        """Raises `RefusalError`: 421 for a host that is not ours (DNS rebinding), 403 for another site's page."""
        host = request.header(b"host")
        if not self._ours(f"//{host}"):
            raise RefusalError(421, f"{host or 'A request without a host'} is not for this event broker")
        origin = request.header(b"origin")
        if origin and request.method not in _SAFE and not self._ours(origin):
            raise RefusalError(403, f"A page of {origin} may not do this")

    def _ours(self, url: str) -> bool:
        try:
            host = (urlsplit(url).hostname or "").removesuffix(".")
        except ValueError:
            return False
        return host in _LOOPBACK or any(host == one or host.endswith(f".{one}") for one in self._domains)
