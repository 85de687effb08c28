"""The headers that only the authorizer writes: every copy that a client sends is removed, however it is spelled.

Many servers hand header names on with ``_`` for ``-`` (CGI's rule, RFC 3875, section 4.1.18), so that ``X_User_Id`` and
``X-User-Id`` are one to them (CVE-2015-0219, CVE-2021-41130). A client could also have the authorizer's own headers
removed behind it, by naming them in ``Connection``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from proxy_addons.api_gateway import presets

if TYPE_CHECKING:
    from mitmproxy.http import Headers

#: Who the caller wants to be, and what trouble he wants to see: for the authorizer alone.
AS: Final = "Stores-As"
SIMULATE: Final = "Stores-Simulate"
#: The caller's own, where the authorizer has put a token of ours in its place.
ORIGINAL: Final = "X-Forwarded-Authorization"
PREFIX: Final = "X-Forwarded-Prefix"

_ALWAYS: Final = (AS, SIMULATE, ORIGINAL, PREFIX)
_SEPARATORS: Final = re.compile(rb"[^a-z0-9]")


class Managed:
    """A set of names, in all their spellings."""

    def __init__(self, names: Iterable[str]) -> None:
        self._keys = frozenset(_key(name.encode()) for name in (*_ALWAYS, *presets.HEADERS, *names))

    def __contains__(self, name: bytes) -> bool:
        return _key(name) in self._keys

    def remove(self, headers: Headers) -> None:
        """Every copy, in every spelling."""
        fields = headers.fields
        kept = tuple(field for field in fields if _key(field[0]) not in self._keys)
        if len(kept) != len(fields):
            headers.fields = kept


def _key(name: bytes) -> bytes:
    # all but letters and digits: CGI's rule knows `-` alone, but nobody can say what other servers make of a dot
    return _SEPARATORS.sub(b"-", name.lower())
