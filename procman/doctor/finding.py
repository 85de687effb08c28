"""What the doctor says of one link of the way: well, to be known, or broken, and then what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

#: The one privileged step, as it is typed.
SETUP = "stores setup --system"


class Health(StrEnum):
    """`NOTE`: works, or is not needed for the way of a request, and somebody should know.

    What was never set up on this machine is a note: at ``http://NAME.localhost:8080/`` all works without it.
    """

    OK = "ok"
    NOTE = "note"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One link of the way: what was found, and what to type where that is not well.

    `unset`: it is not there, because nobody has set it up on this machine.
    """

    link: str
    health: Health
    said: str
    mend: str = ""
    unset: bool = False


def ok(link: str, said: str) -> Finding:
    """A link that is well."""
    return Finding(link, Health.OK, said)


def note(link: str, said: str, mend: str = "") -> Finding:
    """Something to know."""
    return Finding(link, Health.NOTE, said, mend)


def not_set_up(link: str, said: str) -> Finding:
    """What only the privileged step brings, and nobody has asked for it on this machine."""
    return Finding(link, Health.NOTE, f"not set up: {said}", SETUP, unset=True)


def broken(link: str, said: str, mend: str) -> Finding:
    """A link through which no request gets."""
    return Finding(link, Health.BROKEN, said, mend)
