"""Where a visitor goes after signing in: to a page of the own domain, and nowhere else (CWE-601, open redirect)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from common.neighbourhood import Neighbourhood

_SERVICE = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_OWN_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")  # printable ASCII without backslash; "//host" is another host


@dataclass(frozen=True)
class WayBack:
    """As asked for: the service named `app` (none: this one), a path there or a whole URL, and if with a ticket."""

    app: str = ""
    return_to: str = ""
    ticket: bool = False

    @classmethod
    def parse(cls, words: dict[str, str]) -> WayBack:
        return cls(words.get("app", ""), words.get("return_to", ""), words.get("ticket") == "1")

    def query(self) -> str:
        return urlencode({"app": self.app, "return_to": self.return_to, "ticket": "1" if self.ticket else ""})

    def location(self, here: Neighbourhood | None, ticket: str = "") -> str:
        """The Location header: the place asked for when it is in the own domain, else the first page."""
        target = self._target(here)
        if ticket and self.ticket and target != "/":
            target += ("&" if urlsplit(target).query else "?") + urlencode({"ticket": ticket})
        return target

    def _target(self, here: Neighbourhood | None) -> str:
        if _OWN_PATH.fullmatch(self.return_to):
            if not self.app:
                return self.return_to
            return here.url(self.app) + self.return_to if here and _SERVICE.fullmatch(self.app) else "/"
        return self.return_to if here and here.holds(self.return_to) else "/"
