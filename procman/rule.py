"""What a value in a file must be. A rule says what is wrong with one, or an empty text, as `Table.take` asks it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

#: RFC 9293, section 3.1: sixteen bits.
LAST_PORT: Final = 65535
#: Seconds, eleven days: what the system can be told to wait ends soon after it (poll(2): 31 bits of milliseconds).
LONGEST_PATIENCE: Final = 1_000_000


def one_of(*words: str) -> Callable[[str], str]:
    """A word of a closed set."""
    return lambda value: "" if value in words else f'"{value}" is not one of {", ".join(words)}'


def within(least: int, most: int) -> Callable[[int], str]:
    """A number of a range, both ends included."""
    return lambda value: "" if least <= value <= most else f"{least} to {most}"


def port(least: int = 1) -> Callable[[int], str]:
    """A port; with a `least` of 0, also the one that stands for any."""
    return lambda value: "" if least <= value <= LAST_PORT else f"{value} is not a port ({least} to {LAST_PORT})"


def patience(value: float) -> str:
    """Seconds to wait."""
    return "" if 0 < value <= LONGEST_PATIENCE else f"{value:g} s is not a time to wait (at most {LONGEST_PATIENCE} s)"


def path(root: Path) -> Callable[[str], str]:
    """A path, from `root` on where it is relative: no home of a user that there is not, no loop of links, no NUL."""

    def problem(value: str) -> str:
        try:
            (root / Path(value).expanduser()).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            return f'"{value}" is no path: {error}'
        return ""

    return problem


def url(value: str) -> SplitResult | None:
    """The parts of a URL; None for what is none: a bracket that stays open, a port that there is not."""
    try:
        parts = urlsplit(value)
        reachable = parts.port is None or parts.port > 0
    except ValueError:
        return None
    return parts if reachable else None
