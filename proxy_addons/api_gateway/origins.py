"""Whether a page of another site asks: it must not call services as the person at this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy_addons.site import Site
from proxy_addons.view import LOCALHOST, View

if TYPE_CHECKING:
    from mitmproxy.http import Headers

_LOOPBACK: Final = frozenset((LOCALHOST, "127.0.0.1", "[::1]"))


def friendly(origin: str, view: View) -> bool:
    """Whether an ``Origin`` is the workspace's own, or that of a development server on this machine."""
    try:
        host = Site.parse(origin).host
    except ValueError:
        return False  # also "null", which a hostile page can have at will (a sandboxed frame)
    return host in _LOOPBACK or view.ours(host)


def strange(headers: Headers, view: View) -> str:
    """The stranger that sends this request through somebody's browser; empty where there is none.

    A browser says ``Origin`` with all but plain GETs, and ``Sec-Fetch-Site`` with every request to a secure host. A
    link that a person follows is his own doing.
    """
    origin = headers.get("origin")
    if origin is not None:
        return "" if friendly(origin, view) else origin
    if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
        return "a page of another site"
    return ""
