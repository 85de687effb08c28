"""A moment as options say it: a span back from now (``10m``, ``2h30m``), or an ISO 8601 time in this machine's zone."""

from __future__ import annotations

import re
import time

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def epoch(text: str) -> float:
    """Seconds since 1970. Raises ``ValueError`` for anything else."""
    parts = _SPAN.findall(text)
    if parts and _SPAN.sub("", text) == "":
        return time.time() - sum(float(number) * _SECONDS[unit] for number, unit in parts)
    from datetime import datetime  # noqa: PLC0415 (only for a time that is written out)

    return datetime.fromisoformat(text).astimezone().timestamp()
