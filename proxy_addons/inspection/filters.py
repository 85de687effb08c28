"""Which requests are meant: mitmproxy's own filter language, or plain text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mitmproxy import flowfilter

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLE = "~m POST & ~c 500, ~u cart, ~b 'out of stock', ~t json, !~u /assets/"


class FilterError(ValueError):
    """What is wrong with an expression, with the expression in it."""


def parsed(expression: str) -> Callable[[Any], Any] | None:
    """What mitmproxy makes of `expression`; None for none. Raises `FilterError`."""
    if not expression.strip():
        return None
    try:
        fits: Callable[[Any], Any] = flowfilter.parse(expression)
    except (ValueError, RecursionError) as error:
        reason = _reason(error)
        raise FilterError(f"The filter {expression!r} is not understood{reason}. For example: {EXAMPLE}") from error
    return fits


def containing(text: str) -> Callable[[Any], bool] | None:
    """Plain text, in letters of either case: in URL, headers, bodies, messages. None for none."""
    if not text:
        return None
    plain = re.escape(text)
    rules: list[Any] = [kind(plain) for kind in (flowfilter.FUrl, flowfilter.FHead)]
    body = re.compile(plain.encode("utf-8", "surrogateescape"), re.IGNORECASE)
    return lambda flow: any(rule(flow) for rule in rules) or _in_bodies(body, flow)


def both(one: Callable[[Any], Any] | None, other: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    """What fits the one and the other."""
    if one is None or other is None:
        return one or other
    return lambda flow: one(flow) and other(flow)


def _in_bodies(pattern: re.Pattern[bytes], flow: Any) -> bool:
    messages = [message for message in (flow.request, flow.response) if message is not None]
    contents = [message.get_content(strict=False) or b"" for message in messages]
    contents += [message.content for message in flow.websocket.messages] if flow.websocket else []
    return any(pattern.search(content) for content in contents)


def _reason(error: BaseException) -> str:
    """What mitmproxy knows of the place, in a few words."""
    cause = error.__cause__
    at = getattr(cause, "column", None)
    if at is not None:
        return f" (at character {at})"
    return f" ({cause})" if cause is not None else ""
