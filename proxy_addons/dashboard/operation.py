"""One row of the API's table: what is asked how, who may, what comes back, and which function answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from proxy_addons.dashboard.message import Request
from proxy_addons.dashboard.schema import Schema

#: Returns a `message.Response`, or what is told as JSON.
Handler = Callable[[Request], Awaitable[Any]]

ROOT = "/api/v1"


class Who(StrEnum):
    """Who may ask. ANYBODY: any program of this user, any page of the dashboard itself."""

    ANYBODY = "anybody"
    SIGNED_IN = "signed in"
    PROGRAM = "program"


@dataclass(frozen=True, slots=True)
class Operation:
    """`path` is below `ROOT`; ``{name}`` in it is an argument. `gives`: of a success, None for no body.

    `streams`: the answer is text/event-stream, and has no end. `refuses`: what else may be said, but for what every
    operation may say.
    """

    method: str
    path: str
    name: str
    about: str
    answer: Handler
    gives: Schema | None = None
    query: Mapping[str, Schema] = field(default_factory=dict)
    takes: Schema | None = None
    who: Who = Who.SIGNED_IN
    streams: bool = False
    refuses: Mapping[int, str] = field(default_factory=dict)
    group: str = ""
