"""How the dashboard knows its own user: a token in a file that only he can read, and what is had for it.

A program shows the token itself. A browser shows a cookie, which it got for a ticket: `stores open` asks for one with
the token, and opens the page with it. A ticket is worth something once, and for a minute. It stands in the URL's
fragment, which no server and no Referer is ever told.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from pathlib import Path
from typing import Final

from procman.dashboard_token import kept

#: Seconds for a browser to come with its ticket: it may have to be started first.
TICKET_LIFE: Final = 60
#: Seconds for which a browser is known: a working week.
SESSION_LIFE: Final = 7 * 24 * 3600
#: Tickets that nobody came with; more of them are a script that runs wild.
_MOST_TICKETS: Final = 100


class Sessions:
    """All that opens the door. Sessions outlive a restart of the gateway, tickets do not."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where the token is kept, readable by its owner alone. Raises ``OSError``."""
        self._token = kept(folder)
        self._tickets: dict[str, float] = {}
        #: Cookies know no ports: a second workspace of the same domain must have another name.
        self._name = f"stores-{hashlib.sha256(self._token.encode()).hexdigest()[:8]}"

    def is_token(self, shown: str) -> bool:
        """Whether a program showed the token."""
        return hmac.compare_digest(shown.encode(), self._token.encode())

    def ticket(self) -> str:
        """A new one."""
        now = time.monotonic()
        self._tickets = {one: until for one, until in self._tickets.items() if until > now}
        while len(self._tickets) >= _MOST_TICKETS:
            del self._tickets[next(iter(self._tickets))]
        made = secrets.token_urlsafe(32)
        self._tickets[made] = now + TICKET_LIFE
        return made

    def redeem(self, ticket: str) -> bool:
        """Whether it was worth something; from now on it is not."""
        return self._tickets.pop(ticket, 0.0) > time.monotonic()

    def cookie(self, *, secure: bool) -> str:
        """A Set-Cookie line for a browser that is known from now on."""
        until = f"{int(time.time()) + SESSION_LIFE}-{secrets.token_urlsafe(12)}"
        return self._line(f"{until}-{self._sign(until)}", SESSION_LIFE, secure=secure)

    def no_cookie(self, *, secure: bool) -> str:
        """A Set-Cookie line that ends it."""
        return self._line("", 0, secure=secure)

    def _line(self, value: str, age: int, *, secure: bool) -> str:
        line = f"{self._named(secure=secure)}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict"
        return f"{line}; Secure" if secure else line

    def _named(self, *, secure: bool) -> str:
        """``__Host-``: no page of a name beside ours can set it (RFC 6265bis, section 4.1.3.2). It needs https."""
        return f"__Host-{self._name}" if secure else self._name

    def knows(self, cookies: str, *, secure: bool) -> bool:
        """Whether a Cookie header holds a session of ours that is still good."""
        for part in cookies.split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._named(secure=secure):
                until, _, signature = value.rpartition("-")
                # the nonce may have a "-", the signature is hexadecimal
                good = hmac.compare_digest(signature.encode(), self._sign(until).encode())
                if good and int(until.partition("-")[0]) > time.time():
                    return True
        return False

    def _sign(self, what: str) -> str:
        return hmac.new(self._token.encode(), what.encode(), hashlib.sha256).hexdigest()
