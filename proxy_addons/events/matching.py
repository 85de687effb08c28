"""Which events a subscription wants: patterns of the type, and filters on attributes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from procman.subscription import Subscription
from proxy_addons.events.event import Event
from proxy_addons.events.http_binding import canonical

Test = Callable[[Event], bool]


def wanted(subscription: Subscription) -> Test:
    """The test for a subscription: one of its types, and all of its filters."""
    of_type = typed(subscription.types)
    filters = [_filter(one) for one in subscription.filters]
    return lambda event: of_type(event.type) and all(test(event) for test in filters)


def typed(patterns: Iterable[str]) -> Callable[[str], bool]:
    """The test of a type: ``*`` stands for one segment between dots, ``**`` at the end for one or more."""
    one = re.compile("|".join(map(_expression, patterns)) or r"(?!)", re.DOTALL)
    return lambda type_: one.fullmatch(type_) is not None


def _expression(pattern: str) -> str:
    segments = (".+" if part == "**" else r"[^.]+" if part == "*" else re.escape(part) for part in pattern.split("."))
    return r"\.".join(segments)


_COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "exact": lambda value, text: value == text,
    "prefix": lambda value, text: value.startswith(text),
    "suffix": lambda value, text: value.endswith(text),
}


def _filter(value: dict[str, Any]) -> Test:
    ((kind, inner),) = value.items()
    if kind in {"all", "any"}:
        tests = [_filter(one) for one in inner]
        return (lambda event: all(t(event) for t in tests)) if kind == "all" else lambda e: any(t(e) for t in tests)
    if kind == "not":
        test = _filter(inner)
        return lambda event: not test(event)
    compare = _COMPARISONS[kind]
    return lambda event: all(
        name in event.attributes and compare(canonical(event.attributes[name]), text) for name, text in inner.items()
    )
