"""The page's words, in the languages that it knows: ``pages/words.toml``."""

from __future__ import annotations

import functools
import re
import signal
import tomllib
from pathlib import Path
from typing import Any

from procman.state import State
from proxy_addons.problem import Code

PAGES = Path(__file__).parents[1] / "pages"
#: The first one is for who asks for none of them.
LANGUAGES = ("en", "ja")
#: A Japanese particle belongs to the word before it, also where that is a Latin one with a space behind it.
_PARTICLE = re.compile("\\} (?=[ぁ-ん])")
#: `Supervised.exit` in procman/process/supervised.py.
_ENDING = re.compile(r"exit code (?P<code>\d{1,3})|ended by (?P<signal>SIG[A-Z0-9]+)")
#: What a start waits for: `_ready` in procman/process/plans.py, `_waits_for` in procman/supervisor/examination.py.
_WAITS = {
    "port": re.compile(r"for its port (?P<port>\d+) \(\$PORT\) to open"),
    "path": re.compile(r"for GET (?P<path>\S+) on port (?P<port>\d+)"),
    "line": re.compile(r"for a line of output like (?P<line>.+)"),
    "needs": re.compile(r"for (?P<needs>.+) to be ready"),
    "turn": re.compile(r"for its turn: others are starting"),
    "moment": re.compile(r"to live a moment"),
}
_SIGNALS = {int(number): number.name for number in signal.Signals}
_OF_SIGNAL = 128
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


class Words:
    """One language."""

    def __init__(self, language: str, table: dict[str, Any]) -> None:
        self.language = language
        self.labels: dict[str, str] = table["labels"]
        self._states: dict[str, str] = table["states"]
        self._codes: dict[str, dict[str, Any]] = table["code"]
        self._endings: dict[str, str] = table["endings"]
        self._waits: dict[str, str] = table.get("waits", {})
        self._hops: dict[str, str] = table["hops"]

    def state(self, state: State) -> str:
        """A state's name."""
        return self._states[state]

    def hop(self, hop: str) -> str:
        """Where the way to a remote ended."""
        return self._hops[hop]

    def title(self, code: Code, values: dict[str, str]) -> str:
        """What is wrong, in one line."""
        return _unbroken(self._codes[code]["title"]).format_map(values)

    def text(self, code: Code, values: dict[str, str]) -> str:
        """What is wrong, in a sentence or two."""
        return _unbroken(self._codes[code]["text"]).format_map(values)

    def commands(self, code: Code, values: dict[str, str]) -> list[tuple[str, str]]:
        """What to type, and what it does."""
        return [(line.format_map(values), does) for line, does in self._codes[code]["do"]]

    def ending(self, text: str) -> str:
        """How a process ended, as the supervisor says it, with what that usually means."""
        match = _ENDING.fullmatch(text)
        if match is None:
            return text
        number = match["code"]
        if number and number not in self._endings and int(number) - _OF_SIGNAL in _SIGNALS:
            number = _SIGNALS[int(number) - _OF_SIGNAL]  # a shell says so of what it ran: 128 and the signal's number
        said = self.labels["exit_code"].format(n=match["code"]) if match["code"] else match["signal"]
        means = self._endings.get(number or match["signal"], "")
        return self.labels["means"].format(said=said, means=means) if means else said

    def wait(self, text: str) -> str:
        """What a start waits for, as the supervisor says it; its own words are English."""
        for name, pattern in _WAITS.items() if self._waits else ():
            if match := pattern.fullmatch(text):
                return self._waits[name].format_map(match.groupdict())
        return text

    def span(self, seconds: float) -> str:
        """A length of time, in its largest unit."""
        for unit, length in (("days", _DAY), ("hours", _HOUR), ("minutes", _MINUTE), ("seconds", 1)):
            if seconds >= length or unit == "seconds":
                return self.labels[unit].format(n=int(seconds // length))
        raise AssertionError


def _unbroken(template: str) -> str:
    return _PARTICLE.sub("}\N{NO-BREAK SPACE}", template)


@functools.cache
def words(language: str) -> Words:
    """The words of one of `LANGUAGES`, read from the file when first needed."""
    return Words(language, tomllib.loads((PAGES / "words.toml").read_text(encoding="utf-8"))[language])
