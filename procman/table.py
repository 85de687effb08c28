"""A TOML table that is read key by key, with its file's lines at hand: what nobody asked for is a mistake."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable
from typing import Any, TypeVar

from procman.mistake import Mistake, MistakesError, nearest

Value = TypeVar("Value")

_WORDS = {str: "text in quotes", int: "a whole number", float: "a number", bool: "true or false", list: "a list"}
_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)|\(at end of document\)")
_LONG_NUMBER = re.compile(r"[0-9_]{4300}")
#: Tables and lists within one another. All that goes through them does so by calling itself, here and elsewhere.
_DEEPEST = 32
#: What a float holds, and more than any of ours means.
_LARGEST = 10**300


class Table:
    """One TOML table of `file`. Mistakes are collected; `close` adds every key that was never asked for."""

    def __init__(
        self, values: dict[str, Any], file: str, lines: list[str], *, offset: int = 0, prefix: str = ""
    ) -> None:
        """`lines` is the TOML text that the values come from, which begins after `offset` lines of the file."""
        self.values = values
        self.file = file
        self.mistakes: list[Mistake] = []
        self._lines = lines
        self._offset = offset
        self._prefix = prefix
        self._asked: set[str] = set()

    @classmethod
    def parse(cls, text: str, file: str, offset: int = 0) -> Table:
        """From TOML text. Raises `MistakesError` where it is not TOML."""
        lines = text.splitlines()
        try:
            values = tomllib.loads(text)
            if _depth(values) <= _DEEPEST:
                return cls(values, file, lines, offset=offset)
        except tomllib.TOMLDecodeError as error:
            place = _PLACE.search(str(error))
            line, column = (int(place[1]), int(place[2])) if place and place[1] else (max(1, len(lines)), 0)
            shown = lines[line - 1].strip() if line <= len(lines) else ""
            problem = f"not valid TOML: {_PLACE.sub('', str(error)).strip()}"
            mistake = Mistake(file, line + offset, shown, problem, 'Write it as: key = "value"', column)
            raise MistakesError(mistake) from error
        except RecursionError:
            pass
        except ValueError as error:  # of int(), for a number of more than 4300 digits
            number = next((number for number, line in enumerate(lines, 1) if _LONG_NUMBER.search(line)), 0)
            problem = "a number that is too long for anything"
            raise MistakesError(Mistake(file, number + offset, "", problem, "Write a shorter one.")) from error
        number = max(range(len(lines)), key=lambda index: sum(map(lines[index].count, "[{.")), default=0) + 1
        raise MistakesError(Mistake(file, number + offset, "", "too many values within values", "Take some out."))

    def _text(self, line: int) -> str:
        return self._lines[line - 1].strip() if 0 < line <= len(self._lines) else ""

    def _find(self, key: str) -> int:
        """The line on which the last part of a dotted key is set; 1 when only the table itself can be shown."""
        path = key.split(".")
        for length in range(len(path), 0, -1):  # a key of an inline table stands on the line of that table
            last = re.escape(path[length - 1])
            header = rf"""\[[\w.-]*["']?\b{last}["']?[\].]"""
            pattern = re.compile(rf"""\s*(?:(?:[\w-]+\.)*["']?{last}["']?\s*=|{header})""")
            found = [number for number, text in enumerate(self._lines, 1) if pattern.match(text)]
            if found:
                begin = self._begin(path[: length - 1])
                return next((number for number in found if number > begin), found[0])
        return 1

    def _begin(self, path: list[str]) -> int:
        """The line of the header of the table that holds `path`, as other tables may have the same keys; else 0."""
        for length in range(len(path), 0, -1):
            header = f"[{'.'.join(path[:length])}]"
            for number, text in enumerate(self._lines, 1):
                if text.strip().startswith(header):
                    return number
        return 0

    def wrong(self, key: str, problem: str, mend: str) -> None:
        """Notes a mistake at the place where `key` is set."""
        line = self._find(self._prefix + key)
        self.mistakes.append(Mistake(self.file, line + self._offset, self._text(line), problem, mend))

    def take(self, key: str, kind: type[Value], default: Value, rule: Callable[[Value], str] | None = None) -> Value:
        """The value of `key`, or `default`. `rule` returns what is wrong with a value, or an empty string."""
        value = self.any(key, default)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value) if abs(value) < _LARGEST else None
        endless = isinstance(value, float) and not math.isfinite(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)) or endless:
            self.wrong(key, f"{key} must be {_WORDS.get(kind, kind.__name__)}", _example(key, default, rule))
            return default
        problem = rule(value) if rule and key in self.values else ""
        if problem:
            self.wrong(key, problem, _example(key, default, rule))
            return default
        return value

    def texts(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """A list of texts, as a tuple."""
        value = self.take(key, list, list(default))
        if not all(isinstance(item, str) for item in value):
            self.wrong(key, f"{key} must be a list of texts", f'For example: {key} = ["one", "two"]')
            return default
        return tuple(value)

    def any(self, key: str, default: Any = None) -> Any:
        """The value of `key` whatever it is; asking for a key makes it a known one."""
        self._asked.add(key)
        return self.values.get(key, default)

    def table(self, key: str) -> Table:
        """The sub-table `key`; an absent one is empty. Its mistakes are this table's mistakes."""
        value = self.any(key, {})
        if not isinstance(value, dict):
            self.wrong(key, f"{key} must be a table", f"Write it as: [{key}]")
            value = {}
        inner = Table(value, self.file, self._lines, offset=self._offset, prefix=f"{self._prefix}{key}.")
        inner.mistakes = self.mistakes
        return inner

    def keys(self) -> list[str]:
        """The keys that stand here, for tables whose keys are names (`[groups]`, `env`)."""
        self._asked.update(self.values)
        return list(self.values)

    def close(self) -> None:
        """Every key that nobody asked for is a mistake; so is every one noted before."""
        for key in self.values:
            if key not in self._asked:
                self.wrong(key, f'unknown key "{self._prefix}{key}"', nearest(key, sorted(self._asked)))


def _example(key: str, default: Value, rule: Callable[[Value], str] | None) -> str:
    """The default, where one may write it: some stand for what is found out, and are no values of a file."""
    return f"Leave {key} out, and it is chosen." if rule and rule(default) else f"For example: {key} = {_show(default)}"


def _show(value: object) -> str:
    """A value as TOML would write it, for a mend."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_show, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _depth(values: dict[str, Any]) -> int:
    """How many tables and lists stand within one another; no further than it matters."""
    depth, level = 0, [values] if values else []
    while level and depth <= _DEEPEST:
        depth += 1
        level = [inner for outer in level for inner in _inside(outer)]
    return depth


def _inside(value: Any) -> list[Any]:
    held = value.values() if isinstance(value, dict) else value
    return [inner for inner in held if isinstance(inner, dict | list)]
