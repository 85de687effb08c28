"""What the doctor says of one link of the way: well, to be known, or broken, and then what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """`NOTE`: works, or is not needed for the way of a request, and somebody should know."""

    OK = "ok"
    NOTE = "note"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One link of the way: what was found, and what to type where that is not well."""

    link: str
    health: Health
    said: str
    mend: str = ""


def ok(link: str, said: str) -> Finding:
    """A link that is well."""
    return Finding(link, Health.OK, said)


def note(link: str, said: str, mend: str = "") -> Finding:
    """Something to know."""
    return Finding(link, Health.NOTE, said, mend)


def broken(link: str, said: str, mend: str) -> Finding:
    """A link through which no request gets."""
    return Finding(link, Health.BROKEN, said, mend)
