"""Who may ask: only what runs on this machine, as this user, and no page but the dashboard's own.

`Host` has been checked when a request comes here: the front sends only what asks for the dashboard's names, so a name
of somebody else's that leads to 127.0.0.1 (DNS rebinding) gets the page about a host that is not ours.
"""

from __future__ import annotations

from typing import Final

from proxy_addons.dashboard.message import Request
from proxy_addons.dashboard.operation import Who
from proxy_addons.dashboard.peer import is_local, is_stranger
from proxy_addons.dashboard.session import Sessions
from proxy_addons.events.refusal import RefusalError

_SAFE: Final = frozenset({"GET", "HEAD"})
_BEARER: Final = "bearer "
#: What a browser says of a request that no other site's page made (Fetch Metadata); "none": its user typed the URL.
_OWN: Final = frozenset({"", "same-origin", "none"})


class Guard:
    """Raises `RefusalError` for whoever may not."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def check(self, request: Request, who: Who) -> None:
        """403: from elsewhere, or of another site, or another user's. 401: nobody that is known."""
        self.check_place(request)
        page = request.headers.get("origin", "")
        # Cookies of services' pages count as same-site, so SameSite alone does not keep them out: the origin does.
        if page and page != request.origin:
            raise RefusalError(403, f"A page of {page} may not ask this.")
        if request.headers.get("sec-fetch-site", "") not in _OWN:
            raise RefusalError(403, "A page of another site may not ask this.")
        if is_stranger(request.client):
            raise RefusalError(403, "Another user of this machine may not ask this.")
        if self._shows_token(request):
            return
        if request.method not in _SAFE and not page:
            raise RefusalError(403, "Without the token, only the dashboard's own page may ask this.", hint=_HINT)
        if who is Who.ANYBODY:
            return
        cookies = request.headers.get("cookie", "")
        if who is Who.PROGRAM or not self._sessions.knows(cookies, secure=request.client.secure):
            raise RefusalError(401, "You are not signed in.", {"WWW-Authenticate": "Bearer"}, hint=_HINT)

    @staticmethod
    def check_place(request: Request) -> None:
        """All that holds for the page's files, too: they tell nothing, but nobody from outside needs them."""
        if not is_local(request.client):
            raise RefusalError(403, "This is for programs on the same machine.")

    def _shows_token(self, request: Request) -> bool:
        shown = request.headers.get("authorization", "")
        return shown.lower().startswith(_BEARER) and self._sessions.is_token(shown[len(_BEARER) :].strip())


_HINT: Final = "Open the page by: stores open"
