"""What is inspected, and until when. Asked once for each host, by the front."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy_addons.decision import Decision

#: Seconds for which a host is inspected unless somebody says otherwise, and at most.
USUAL, MOST = 3600.0, 24 * 3600.0
#: Names at a time; more than a workspace has.
_MOST_NAMES: Final = 256


@dataclass(frozen=True, slots=True)
class Watch:
    """One name that is inspected; the times are the clock's."""

    name: str
    since: float
    until: float


class Watched:
    """Names of services, or of hosts below the domain. They end by themselves once `expire` is asked."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: in seconds, and never set back."""
        self.clock = clock
        self._watches: dict[str, Watch] = {}

    def __bool__(self) -> bool:
        return bool(self._watches)

    @property
    def watches(self) -> list[Watch]:
        """Those that there are, in the order in which they began."""
        return list(self._watches.values())

    def add(self, names: Iterable[str], seconds: float) -> None:
        """From now on; who was watched already is so until the new end. Raises ``ValueError`` for too many."""
        now = self.clock()
        for name in names:
            if len(self._watches) >= _MOST_NAMES and name not in self._watches:
                raise ValueError(f"{_MOST_NAMES} names are inspected already")
            known = self._watches.get(name)
            self._watches[name] = Watch(name, known.since if known else now, now + min(seconds, MOST))

    def remove(self, names: Iterable[str] | None = None) -> list[str]:
        """From now on no more; None: none of them. Returns those that were."""
        gone = [name for name in (names if names is not None else list(self._watches)) if name in self._watches]
        for name in gone:
            del self._watches[name]
        return gone

    def expire(self) -> list[str]:
        """Takes away those whose time is over, and returns them."""
        now = self.clock()
        return self.remove([watch.name for watch in self._watches.values() if watch.until <= now])

    @property
    def next_end(self) -> float | None:
        """When the next one ends, by the clock."""
        return min((watch.until for watch in self._watches.values()), default=None)

    def name_for(self, decision: Decision) -> str | None:
        """By which name what was decided about is inspected: its host's, else its service's."""
        if not self._watches:
            return None
        service = decision.service.name if decision.service is not None else ""
        return next((name for name in (decision.relative, service) if name and name in self._watches), None)
