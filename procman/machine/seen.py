"""What is known of a process that was seen alive."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seen:
    """One living process. `start` tells it from a later one with the same PID.

    `start` is in a unit of the platform's own (Linux: clock ticks since boot; macOS: microseconds), and no wall-clock
    time: setting the clock does not change it.
    """

    pid: int
    ppid: int
    pgid: int
    sid: int
    start: int
