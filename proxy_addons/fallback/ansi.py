"""A line of a program's output as spans of text: colours become class names, all else that a terminal obeys goes.

Only SGR (ECMA-48, 8.3.117) is understood. What comes out is plain text and names of our own, so that nothing that a
service prints can become markup.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

#: SGR; any other CSI; OSC, DCS, PM, APC up to their end; a two-byte escape; a control character but the tab.
_SEQUENCE: Final = re.compile(
    r"\x1b\[(?P<sgr>[0-9;:]*)m|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"
    r"|\x1b[ -/]*.|[\x00-\x08\x0a-\x1f\x7f-\x9f]"
)
_NAMES: Final = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_STYLES: Final = {1: "bold", 2: "dim", 3: "italic", 4: "underline"}
#: Which styles 22, 23 and 24 end.
_ENDS: Final = {22: (1, 2), 23: (3,), 24: (4,)}
_RESET, _REVERSED, _FOREGROUND, _EXTENDED, _DEFAULT, _BRIGHT = 0, 7, 30, 38, 39, 90
_BACKGROUND_EXTENDED: Final = 48
#: The colour cube of the 256: 16 to 231, six steps of each; above it, greys.
_CUBE, _GREYS = 16, 232


@dataclass(frozen=True, slots=True)
class Span:
    """Text in one look; `style` are class names, separated by spaces."""

    text: str
    style: str = ""


def spans(line: str) -> list[Span]:
    """The looks of one line. A progress bar that was drawn over and over is shown as it stood last."""
    line = line.rstrip("\r\n").rpartition("\r")[2]
    found: list[Span] = []
    look = _Look()
    at = 0
    for match in _SEQUENCE.finditer(line):
        _append(found, line[at : match.start()], look.style)
        at = match.end()
        if match["sgr"] is not None:
            look.obey(match["sgr"])
    _append(found, line[at:], look.style)
    return found


def plain(line: str) -> str:
    """The text alone."""
    return "".join(span.text for span in spans(line))


def _append(found: list[Span], text: str, style: str) -> None:
    # A byte that was no UTF-8 stands as a surrogate, which no encoder takes.
    text = text.encode("utf-8", "replace").decode("utf-8")
    if text:
        found.append(Span(text, style))


class _Look:
    """What the sequences so far have set."""

    def __init__(self) -> None:
        self._styles: set[int] = set()
        self._colour = ""

    @property
    def style(self) -> str:
        names = [_STYLES[number] for number in sorted(self._styles)]
        return " ".join([*names, self._colour] if self._colour else names)

    def obey(self, parameters: str) -> None:
        """One sequence; its numbers are bounded, whatever a program writes."""
        numbers = [int(part[:4] or 0) for part in re.split("[;:]", parameters)]
        while numbers:
            number = numbers.pop(0)
            if number == _RESET:
                self._styles.clear()
                self._colour = ""
            elif number in _STYLES:
                self._styles.add(number)
            elif number in _ENDS:
                self._styles.difference_update(_ENDS[number])
            elif _FOREGROUND <= number < _FOREGROUND + len(_NAMES):
                self._colour = _NAMES[number - _FOREGROUND]
            elif _BRIGHT <= number < _BRIGHT + len(_NAMES):
                self._colour = _NAMES[number - _BRIGHT]
            elif number in {_EXTENDED, _BACKGROUND_EXTENDED}:
                colour = _extended(numbers)
                self._colour = colour if number == _EXTENDED else self._colour
            elif number == _DEFAULT:
                self._colour = ""


def _extended(numbers: list[int]) -> str:
    """Takes the numbers of ``5;N`` or ``2;R;G;B``. The nearest of the eight: they alone fit light and dark alike."""
    kind = numbers.pop(0) if numbers else 0
    if kind == 5 and numbers:  # noqa: PLR2004 - a colour of the 256
        number = numbers.pop(0)
        if number < _CUBE:
            return _NAMES[number % 8]
        if number >= _GREYS:
            return ""
        number -= _CUBE
        return _nearest(number // 36, number // 6 % 6, number % 6, 5)
    if kind == 2 and len(numbers) >= 3:  # noqa: PLR2004 - red, green, blue
        red, green, blue = numbers[:3]
        del numbers[:3]
        return _nearest(red, green, blue, 255)
    return ""


def _nearest(red: int, green: int, blue: int, most: int) -> str:
    strongest = max(red, green, blue)
    if max(strongest - min(red, green, blue), 0) * 4 < most:
        return ""  # a grey: the text's own colour is readable on either ground
    index = sum(bit for bit, part in ((1, red), (2, green), (4, blue)) if part * 3 >= strongest * 2)
    return _NAMES[index] if 0 < index < len(_NAMES) - 1 else ""
