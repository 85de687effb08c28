"""Which events a service wants, and how: ``subscribe``, ``deliver`` and ``[events]`` of its file."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from procman import rule
from procman.table import Table

MODES = ("binary", "structured")
ORDERS = ("key", "none", "all")
#: Whether an event that waits may start the service.
STARTS = ("never", "on-request")
#: Where a new subscription begins: with what comes from now on, or with the oldest event that is kept.
FROMS = ("now", "first")
#: The largest `concurrency`: what a development server on the same machine can bear at most.
MOST_SIDE_BY_SIDE = 100

#: The kinds of a filter, as in the CloudEvents Subscriptions API, section 3.2.4.1.
_ATTRIBUTE_FILTERS = ("exact", "prefix", "suffix")
_LIST_FILTERS = ("all", "any")
#: CloudEvents 1.0.2, section 3: "Attribute Naming Convention".
_ATTRIBUTE = re.compile(r"[a-z0-9]+")
_EXAMPLE = 'filters = [{ prefix = { subject = "tokyo/" } }]'


@dataclass(frozen=True, slots=True)
class Subscription:
    """One service's wish. `types`: patterns, ``*`` for a segment, ``**`` for the rest.

    `deliver` is a path of the service. Times in seconds: `timeout` for one attempt, `backoff` before the first of
    `retries`, doubled each time. `sign` names an environment variable that holds the secret (Standard Webhooks).
    """

    types: tuple[str, ...]
    deliver: str = "/events"
    filters: tuple[dict[str, Any], ...] = ()
    mode: str = "binary"
    order: str = "key"
    concurrency: int = 4
    timeout: float = 30.0
    retries: int = 10
    backoff: float = 1.0
    start: str = "never"
    begin: str = "now"
    sign: str = ""
    validate: bool = False

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Subscription:
        """From `to_json`'s result."""
        return cls(**{**value, "types": tuple(value["types"]), "filters": tuple(value["filters"])})


def read(table: Table) -> Subscription | None:
    """The subscription in a service's table; None where it wants no events. Mistakes are noted in the table."""
    types = table.texts("subscribe", ())
    for pattern in types:
        if not _is_pattern(pattern):
            mend = 'Event types, * for one segment, ** for the rest: subscribe = ["com.example.order.*"]'
            table.wrong("subscribe", f'"{pattern}" is not an event type', mend)
    deliver = table.take("deliver", str, "/events", _path)
    inner = table.table("events")
    # what a request may start, an event may start too: it is a request
    unsaid = "on-request" if table.values.get("start") == "on-request" else "never"
    subscription = Subscription(
        types=types,
        deliver=deliver,
        filters=_filters(inner),
        mode=inner.take("mode", str, "binary", rule.one_of(*MODES)),
        order=inner.take("order", str, "key", rule.one_of(*ORDERS)),
        concurrency=inner.take("concurrency", int, 4, rule.within(1, MOST_SIDE_BY_SIDE)),
        timeout=inner.take("timeout", float, 30.0, rule.patience),
        retries=inner.take("retries", int, 10, rule.within(0, 1000)),
        backoff=inner.take("backoff", float, 1.0, rule.patience),
        start=inner.take("start", str, unsaid, rule.one_of(*STARTS)),
        begin=inner.take("begin", str, "now", rule.one_of(*FROMS)),
        sign=inner.take("sign", str, "", _variable),
        validate=inner.take("validate", bool, False),
    )
    inner.close()
    if not types and (inner.values or "deliver" in table.values):
        key = "deliver" if "deliver" in table.values else "events"
        table.wrong(key, "nothing is delivered without subscribe", 'For example: subscribe = ["com.example.order.*"]')
    return subscription if types else None


def _is_pattern(pattern: str) -> bool:
    segments = pattern.split(".")
    return all(
        segment and ("*" not in segment or segment == "*" or (segment == "**" and index == len(segments) - 1))
        for index, segment in enumerate(segments)
    )


def _filters(table: Table) -> tuple[dict[str, Any], ...]:
    value = table.any("filters", [])
    if not isinstance(value, list):
        table.wrong("filters", "filters must be a list", f"For example: {_EXAMPLE}")
        return ()
    for one in value:
        problem = _filter_problem(one)
        if problem:
            table.wrong("filters", problem, f"For example: {_EXAMPLE}")
            return ()
    return tuple(value)


def _filter_problem(value: Any) -> str:
    if not isinstance(value, dict) or len(value) != 1:
        return "a filter has exactly one of: exact, prefix, suffix, all, any, not"
    ((kind, inner),) = value.items()
    if kind in _ATTRIBUTE_FILTERS:
        fits = isinstance(inner, dict) and inner and all(isinstance(text, str) and text for text in inner.values())
        if not fits:
            return f"{kind} takes attributes and texts"
        wrong = next((name for name in inner if not _ATTRIBUTE.fullmatch(name)), "")
        return f'"{wrong}" is no attribute: its name has lower-case letters and digits only' if wrong else ""
    if kind in _LIST_FILTERS:
        if not isinstance(inner, list) or not inner:
            return f"{kind} takes a list of filters"
        return next(filter(None, map(_filter_problem, inner)), "")
    return _filter_problem(inner) if kind == "not" else f'"{kind}" is not a kind of filter'


def _path(value: str) -> str:
    return "" if re.fullmatch(r"/[!-~]*", value) else f'"{value}" is not a path like /events'


def _variable(value: str) -> str:
    return "" if re.fullmatch(r"[A-Za-z_]\w*", value) else f'"{value}" is not the name of an environment variable'
