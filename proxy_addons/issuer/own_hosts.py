"""Which URLs and origins belong to this workspace: where a code may be sent, and whose pages may read an answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from proxy_addons.site import Site

#: Any program of this machine's own: RFC 8252, section 7.3, and what every dev server uses.
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
#: What a browser and we certainly read alike: no user, no backslash, no fragment, nothing but printable ASCII, and the
#: host in plain letters or one IPv6 literal.
_URL: Final = re.compile(r"(?P<origin>https?://(?:[A-Za-z0-9.-]+|\[::1\])(?::[0-9]{1,5})?)(?P<rest>[/?][!-\[\]-~]*)?")
_LONGEST: Final = 2048


class OwnHosts:
    """`knows`: whether a host is one that this gateway answers for, and not with a page about an unknown one."""

    def __init__(self, knows: Callable[[str], bool]) -> None:
        self._knows = knows

    def redirect_refusal(self, url: str, parameter: str = "redirect_uri") -> str:
        """Why nobody is sent to `url`, which `parameter` names; an empty text: he is."""
        match = _URL.fullmatch(url)
        if match is None or "#" in url or len(url) > _LONGEST:
            return f"{parameter} is no plain http or https URL: {url}"
        return (
            "" if self.has(match["origin"]) else f"{parameter} is on no host of this workspace, nor on localhost: {url}"
        )

    def has(self, origin: str) -> bool:
        """Whether a page of `origin` is one of the workspace's, or of a program on this machine."""
        match = _URL.fullmatch(origin)
        if match is None or match["rest"]:
            return False
        try:
            host = Site.parse(origin).host
        except ValueError:
            return False
        return host in _LOOPBACK or self._knows(host)
