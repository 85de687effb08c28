"""Who calls whom, over the last minute: how often, how well, how fast."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from proxy_addons.dashboard.entry import Entry

#: Seconds of the window and of a slot of it, and durations that are kept in each slot: a sample of them, past that.
WINDOW: Final = 60.0
_SLOT: Final = 5.0
_SAMPLE: Final = 64
#: Edges, at most: a map that nobody can read any more, long before that.
_MOST: Final = 500


@dataclass(slots=True)
class _Slot:
    begins: float
    requests: int = 0
    errors: int = 0
    bytes: int = 0
    durations: list[float] = field(default_factory=list)


class Edges:
    """Adds up; time comes in with each entry."""

    def __init__(self) -> None:
        self._slots: dict[tuple[str, str], deque[_Slot]] = {}
        self._since = 0.0

    def add(self, entry: Entry) -> None:
        """One that has ended, and whose caller is as well known as it will be."""
        self._since = self._since or entry.ended
        key = (entry.caller, entry.service)
        slots = self._slots.get(key)
        if slots is None:
            if len(self._slots) >= _MOST:
                return
            slots = self._slots[key] = deque(maxlen=int(WINDOW / _SLOT) + 1)
        if not slots or entry.ended - slots[-1].begins >= _SLOT:
            slots.append(_Slot(entry.ended))
        slot = slots[-1]
        slot.requests += 1
        slot.errors += entry.failed
        slot.bytes += entry.received + entry.sent
        duration = entry.ended - entry.began
        if len(slot.durations) < _SAMPLE:
            slot.durations.append(duration)
        elif (place := random.randrange(slot.requests)) < _SAMPLE:  # noqa: S311 - a sample, no secret
            slot.durations[place] = duration

    def to_json(self, now: float) -> list[dict[str, Any]]:
        """Those on which something went in the last minute."""
        for key, slots in list(self._slots.items()):
            while slots and now - slots[0].begins > WINDOW:
                slots.popleft()
            if not slots:
                del self._slots[key]
        span = min(WINDOW, max(1.0, now - self._since))
        return [_edge(*key, slots, span) for key, slots in sorted(self._slots.items())]


def _edge(caller: str, service: str, slots: deque[_Slot], span: float) -> dict[str, Any]:
    requests = sum(slot.requests for slot in slots)
    durations = sorted(duration for slot in slots for duration in slot.durations)
    return {
        "caller": caller,
        "service": service,
        "requests": requests,
        "errors": sum(slot.errors for slot in slots),
        "rate": round(requests / span, 2),
        "p50": round(durations[len(durations) // 2], 5),
        "p95": round(durations[int(len(durations) * 0.95)], 5),
        "bytes": sum(slot.bytes for slot in slots),
    }
