"""Tokens that were signed already: a signature costs 0.1 to 1 ms, and the same one serves a thousand requests."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

#: Tokens of 1 kB; more than any workspace has identities and audiences.
_MOST: Final = 256
#: The share of a token's life in which it is given out again: who gets it late must still be able to use it.
_SHARE: Final = 0.75


@dataclass(frozen=True, slots=True)
class Signed:
    """A token; `begins` and `ends` in epoch seconds, `of`: what it was made from, to be compared."""

    token: str
    begins: float
    ends: float
    of: object


class TokenCache:
    """The last ones that were asked for."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, Signed] = OrderedDict()
        self._version = -1

    def find(self, name: Hashable, of: object, now: float, version: int) -> str | None:
        """The token under `name`, where it was made from `of`, by the keys of that `version`, and is not near its end.

        One that begins after `now` was made before the clock was set back: others would refuse it.
        """
        if version != self._version:
            self._known.clear()
            self._version = version
        found = self._known.get(name)
        if found is None or not found.begins <= now < found.begins + (found.ends - found.begins) * _SHARE:
            return None
        return found.token if found.of == of else None

    def keep(self, name: Hashable, signed: Signed) -> None:
        """Remembers it."""
        self._known[name] = signed
        self._known.move_to_end(name)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
