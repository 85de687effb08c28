"""A length of time as files and options say it: ``30s``, ``15m``, ``2h``, ``7d``, ``250ms``."""

from __future__ import annotations

import re

_SPAN = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str) -> float:
    """Its seconds. Raises ``ValueError`` for anything else, and for nothing at all (``0s``)."""
    match = _SPAN.fullmatch(text)
    if match is None or not int(match["number"]):
        raise ValueError(f'"{text}" is not a length of time')
    return int(match["number"]) * _SECONDS[match["unit"]]
