"""``[events]`` of ``stores.toml``: where the event broker keeps its log, how much of it, and its remote."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from procman import rule
from procman.table import Table

_DAY, _MEGABYTE = 86400.0, 1024 * 1024
#: The engines that are servers, and the module of each one's client, which is an extra.
SERVERS = {"nats": "nats", "redis": "redis"}
#: A stream's name: what JetStream allows, and no host of ours has to be quoted for.
_STREAM = re.compile(r"(?:/[A-Za-z0-9_-]*)?")
_EXAMPLES = 'engine = "nats://127.0.0.1:4222", "redis://127.0.0.1:6379" or "sqlite:///var/events.sqlite3"'


@dataclass(frozen=True, slots=True)
class EventSettings:
    """What the broker is told. `port`: None for an assigned one.

    `max_age` in seconds, `max_bytes`: what is kept of what was delivered. `backlog`: events that may wait. `remote`:
    the origin of another broker, `forward`: patterns of what it is sent, `receive`: whether its events come here.
    `engine`: the URL of what keeps the log; empty for the broker's own file. It may hold a password.
    """

    port: int | None = None
    max_age: float = 7 * _DAY
    max_bytes: int = 1024 * _MEGABYTE
    backlog: int = 1_000_000
    remote: str = ""
    forward: tuple[str, ...] = ()
    receive: bool = True
    engine: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> EventSettings:
        """From `to_json`'s result."""
        return cls(**{**value, "forward": tuple(value["forward"])})


def read(table: Table, root: Path) -> EventSettings:
    """The settings in the table. What is wrong is noted in it."""
    port = table.take("port", int, 0, rule.port())
    settings = EventSettings(
        port=port or None,
        max_age=table.take("max_age_days", float, 7.0, _amount(36500)) * _DAY,
        max_bytes=table.take("max_size_mb", int, 1024, _amount(10**9)) * _MEGABYTE,
        backlog=table.take("backlog", int, 1_000_000, _amount(10**12)),
        remote=table.take("remote", str, "", _origin).rstrip("/"),
        forward=table.texts("forward", ()),
        receive=table.take("receive", bool, True),
        engine=_engine(table, root),
    )
    if settings.forward and not settings.remote:
        table.wrong("forward", "there is nobody to forward to", 'Name the remote broker: remote = "https://…"')
    table.close()
    return settings


def shown(url: str) -> str:
    """An engine's URL without user and password."""
    parts = rule.url(url)
    if parts is None:  # what cannot be read may hold a password anywhere
        return url.partition(":")[0] + ":…"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def install(scheme: str) -> str:
    """The line that installs the client of an engine."""
    extra = f"'stores[{scheme}]'"
    return f"Install it where stores is: uv tool install {extra}, or in its virtual environment: pip install {extra}"


def _engine(table: Table, root: Path) -> str:
    value = table.take("engine", str, "")
    if not value:
        return ""
    scheme = value.partition(":")[0].lower()
    if scheme == "sqlite":
        path = value.removeprefix("sqlite:///")
        if path and path != value and not rule.path(root)(path):
            return f"sqlite:///{(root / path).resolve()}"
        table.wrong(
            "engine", f'"{value}" names no file', 'A file of the workspace: engine = "sqlite:///events.sqlite3"'
        )
    elif scheme not in SERVERS:
        table.wrong("engine", f'"{shown(value)}" is no engine that is known', f"One of: {_EXAMPLES}")
    elif not _names_a_stream(value):
        table.wrong("engine", f'"{shown(value)}" is not a server and perhaps a stream', f"For example: {_EXAMPLES}")
    elif find_spec(SERVERS[scheme]) is None:
        mend = install(scheme)
        table.wrong("engine", f"{shown(value)} needs {SERVERS[scheme]}, which is not installed", mend)
    return value


def _names_a_stream(url: str) -> bool:
    parts = rule.url(url)
    return bool(parts and parts.hostname and _STREAM.fullmatch(parts.path) and not parts.query)


def _amount(most: int) -> Callable[[float], str]:
    """More than nothing, and no more than the databases can count."""
    words = "is not enough to keep anything"
    return lambda value: "" if 0 < value <= most else f"{value:g} {words}" if value <= 0 else f"{most} is the most"


def _origin(value: str) -> str:
    parts = rule.url(value)
    fits = not value or (parts and parts.scheme in {"http", "https"} and parts.hostname and not parts.path.strip("/"))
    return "" if fits else f'"{value}" is not an origin like https://events.remote.example.com'
