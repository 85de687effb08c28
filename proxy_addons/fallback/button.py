"""The page's button that starts a service: who may press it. Only the page itself, which another site cannot read."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import parse_qs, quote, urlencode

from proxy_addons.site import Site

if TYPE_CHECKING:
    from mitmproxy.http import Request


class _Headers(Protocol):
    def get(self, name: str, default: str, /) -> str: ...


class Press(Protocol):
    """The request that a form sends, as mitmproxy and as the issuer know it."""

    @property
    def headers(self) -> _Headers:
        """By names in lower case."""

    @property
    def path(self) -> str:
        """With its query."""


#: Below which no service is asked: the gateway answers there itself, on every host of the workspace.
RESERVED = "/.stores/"
START, SCRIPT, EVENTS = f"{RESERVED}start", f"{RESERVED}page.js", f"{RESERVED}events"

_ASCII: Final = "".join(map(chr, range(0x21, 0x7F)))

#: Made anew with each gateway: a page that an earlier one wrote has to be loaded again first.
_SECRET = secrets.token_bytes(32)


def token(site: Site) -> str:
    """What a page of `site` has in its form, and a page of any other host cannot know."""
    return hmac.new(_SECRET, str(site).encode(), hashlib.sha256).hexdigest()[:32]


def action(site: Site, path: str) -> str:
    """Where the form goes; `path` is where its sender comes back to."""
    # curl, and pages in old encodings, send bytes as they are: they mean the same in their escaped form
    to = quote(path, safe=_ASCII, errors="surrogateescape")
    return f"{START}?{urlencode({'token': token(site), 'to': to})}"


def refusal(request: Press, site: Site) -> str:
    """Why this press does not count; an empty text: it does.

    Three fences, each enough: the token; the Origin that every browser sends with a POST; Sec-Fetch-Site.
    """
    origin, fetched_by = request.headers.get("origin", ""), request.headers.get("sec-fetch-site", "")
    if origin != str(site):
        return f"the request comes from {origin or 'nowhere'}"
    if fetched_by not in {"", "same-origin"}:
        return f"the request is {fetched_by}"
    given = _query(request.path).get("token", "")
    return "" if hmac.compare_digest(given.encode(), token(site).encode()) else "its page is of an earlier gateway"


def way_back(request: Request) -> str:
    """The path on the same host that the form names; never another host's."""
    to = _query(request.path).get("to", "/")
    stays = to.startswith("/") and to[1:2] not in {"/", "\\"} and to.isprintable() and not to.startswith(RESERVED)
    return to if stays else "/"


def _query(path: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(path.partition("?")[2]).items()}
