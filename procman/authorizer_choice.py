"""What ``stores as`` and ``stores auth simulate`` chose: one small file, which the gateway reads."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from procman import private_file, span

#: What the authorizer can play. `delay` and `missing-scope` take a value.
PLAYS = (
    *("unauthenticated", "deny", "error", "unavailable", "expired", "wrong-audience", "bad-signature"),
    *("delay", "missing-scope"),
)
_WITH_VALUE = {"delay": "delay=2s", "missing-scope": "missing-scope=org:read"}
#: Seconds. Nobody waits longer for anything; and a forgotten hour would look like a fault.
_LONGEST_DELAY = 60.0
_SCOPE = re.compile(r"[!#-\[\]-~]+")


@dataclass(frozen=True, slots=True)
class Play:
    """One trouble: ``deny``, ``delay`` with seconds in `value`, ``missing-scope`` with the scope in it."""

    kind: str
    value: str = ""

    @classmethod
    def parse(cls, text: str) -> Play:
        """From ``deny`` or ``delay=2s``. Raises ``ValueError`` with what is wrong."""
        kind, equals, value = text.strip().partition("=")
        if kind not in PLAYS:
            raise ValueError(f'"{kind}" cannot be played. There is: {", ".join(map(_shown, PLAYS))}.')
        if kind == "delay":
            if span.seconds(value) > _LONGEST_DELAY:
                raise ValueError(f'"{value}" is longer than {_LONGEST_DELAY:g} s')
        elif kind == "missing-scope":
            if not _SCOPE.fullmatch(value):
                raise ValueError(f'"{value}" is not a scope')
        elif equals:
            raise ValueError(f'"{kind}" takes no value')
        return cls(kind, value)

    @property
    def seconds(self) -> float:
        """How long a ``delay`` is."""
        return span.seconds(self.value)

    def __str__(self) -> str:
        """As it is typed."""
        return f"{self.kind}={self.value}" if self.value else self.kind


@dataclass(frozen=True, slots=True)
class Simulation:
    """`plays` for the services named in `services` (none: for all), from `since` until `until` (epoch seconds)."""

    plays: tuple[str, ...]
    since: float
    until: float
    services: tuple[str, ...] = ()

    def runs(self, now: float) -> bool:
        """Whether it is on. A clock that was set back ends it, too: nobody would know why it goes on for a day."""
        return self.since - 1.0 <= now < self.until


@dataclass(frozen=True, slots=True)
class Choice:
    """`identity`: who calls, empty where nobody was chosen."""

    identity: str = ""
    simulations: tuple[Simulation, ...] = ()

    def save(self, path: Path) -> None:
        """Writes it whole or not at all, for its owner's eyes. Raises ``OSError``."""
        private_file.write(path, json.dumps(dataclasses.asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Choice:
        """What was saved; nothing chosen where there is no file. Raises ``ValueError`` where it is none of ours."""
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return cls()
        try:
            value = json.loads(text)
            simulations = tuple(
                Simulation(
                    tuple(str(Play.parse(play)) for play in one["plays"]),
                    float(one["since"]),
                    float(one["until"]),
                    tuple(map(str, one["services"])),
                )
                for one in value["simulations"]
            )
            return cls(str(value["identity"]), simulations)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is not what stores as wrote: {error!r}") from error


@contextlib.contextmanager
def exclusively(path: Path) -> Iterator[None]:
    """For who loads, changes and saves: a command and the dashboard do not undo each other's. Raises ``OSError``."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)  # the kernel gives the lock back with it


def _shown(kind: str) -> str:
    return _WITH_VALUE.get(kind, kind)


def example_of(text: str) -> str:
    """What can be played and comes nearest to `text`, which cannot."""
    kind = text.strip().partition("=")[0]
    return _shown(kind if kind in PLAYS else "deny")
