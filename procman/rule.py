"""What a value in a file must be. A rule says what is wrong with one, or an empty text, as `Table.take` asks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: RFC 9293, section 3.1: sixteen bits.
LAST_PORT: Final = 65535


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
    return "" if value > 0 else f"{value:g} s is not a time to wait"
