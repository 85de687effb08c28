"""A mistake in a configuration file: where it is, what stands there, and how to mend it."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from procman.errors import StoresError


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake. `line` and `column` count from 1; 0 means that the whole file is meant."""

    file: str
    line: int
    text: str
    problem: str
    mend: str
    column: int = 0

    def __str__(self) -> str:
        """As compilers print it, so that editors can jump there: ``file:line:column: problem``."""
        place = ":".join([self.file, *(str(number) for number in (self.line, self.column) if number)])
        lines = [f"{place}: {self.problem}"]
        if self.text:
            lines.append(f"    {self.text}")
        return "\n".join([*lines, f"  {self.mend}"])


class MistakesError(ValueError):
    """One or more mistakes in one file. Raised by parsers, which see text only; `Workspace` collects them."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes


def refuse(mistakes: Sequence[Mistake]) -> StoresError:
    """The error for a person, from all that is wrong at once (exit code 2: configuration)."""
    return StoresError("\n".join(map(str, mistakes)), "Mend this, then type: stores check", exit_code=2)


def unreadable(
    file: str, error: OSError | UnicodeDecodeError, mend: str = "It must be a text file in UTF-8."
) -> Mistake:
    """A file of which not one line is known. `mend`: where its kind or its text is wrong."""
    why = error.strerror if isinstance(error, OSError) else error
    if isinstance(error, PermissionError):
        mend = f"Make it yours to read: chmod u+r {file}"
    elif isinstance(error, OSError) and error.errno == errno.ELOOP:
        mend = f"It is a link that leads to itself: ls -l {file}"
    return Mistake(file, 0, "", f"cannot be read: {why}", mend)


def nearest(word: str, known: Sequence[str]) -> str:
    """``Did you mean "netshop"?`` or, when nothing is near, the names that there are."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f'Did you mean "{close[0]}"?'
    return f"There is: {', '.join(known)}." if known else "There is none yet."
