"""``[events]`` of ``stores.toml``: where the event broker keeps its log, how much of it, and its remote."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from procman.service import LAST_PORT
from procman.table import Table

_DAY, _MEGABYTE = 86400.0, 1024 * 1024


@dataclass(frozen=True, slots=True)
class EventSettings:
    """What the broker is told. `port`: None for an assigned one.

    `max_age` in seconds, `max_bytes`: what is kept of what was delivered. `backlog`: events that may wait. `remote`:
    the origin of another broker, `forward`: patterns of what it is sent, `receive`: whether its events come here.
    """

    port: int | None = None
    max_age: float = 7 * _DAY
    max_bytes: int = 1024 * _MEGABYTE
    backlog: int = 1_000_000
    remote: str = ""
    forward: tuple[str, ...] = ()
    receive: bool = True

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> EventSettings:
        """From `to_json`'s result."""
        return cls(**{**value, "forward": tuple(value["forward"])})


def read(table: Table) -> EventSettings:
    """The settings in the table. What is wrong is noted in it."""
    port = table.take("port", int, 0, lambda port: "" if 0 < port <= LAST_PORT else f"{port} is not a port")
    settings = EventSettings(
        port=port or None,
        max_age=table.take("max_age_days", float, 7.0, _positive) * _DAY,
        max_bytes=table.take("max_size_mb", int, 1024, _positive) * _MEGABYTE,
        backlog=table.take("backlog", int, 1_000_000, _positive),
        remote=table.take("remote", str, "", _origin).rstrip("/"),
        forward=table.texts("forward", ()),
        receive=table.take("receive", bool, True),
    )
    if settings.forward and not settings.remote:
        table.wrong("forward", "there is nobody to forward to", 'Name the remote broker: remote = "https://…"')
    table.close()
    return settings


def _positive(value: float) -> str:
    return "" if value > 0 else f"{value:g} is not enough to keep anything"


def _origin(value: str) -> str:
    parts = urlsplit(value)
    fits = not value or (parts.scheme in {"http", "https"} and parts.hostname and not parts.path.strip("/"))
    return "" if fits else f'"{value}" is not an origin like https://events.remote.example.com'
