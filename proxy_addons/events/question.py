"""What a question's ``?name=value`` says, where it is a number."""

from __future__ import annotations

from proxy_addons.events.http_message import Request
from proxy_addons.events.refusal import RefusalError


def number(request: Request, name: str, default: float, largest: float, least: float = 0.0) -> float:
    """At most `largest`. Raises `RefusalError` (400) for what is no number from `least` on."""
    text = request.query.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not least <= value < float("inf"):
        raise RefusalError(400, f'{name}: "{text}" is not a number from {least:g} on')
    return min(value, largest)
