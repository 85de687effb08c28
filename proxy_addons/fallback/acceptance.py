"""What a client wants to read: type and language, by ``Accept`` and ``Accept-Language`` (RFC 9110, section 12)."""

from __future__ import annotations

import enum


class Form(enum.StrEnum):
    """The forms of an answer; the values are their media types."""

    HTML = "text/html"
    PROBLEM = "application/problem+json"
    TEXT = "text/plain"


def form_of(accept: str) -> Form:
    """HTML for who names it, JSON for who names any JSON, plain text for all others (curl sends ``*/*``)."""
    html = json = 0.0
    for media, quality in _weighted(accept):
        if media in {"text/html", "application/xhtml+xml"}:
            html = max(html, quality)
        elif media in {"application/json", "application/*"} or media.endswith("+json"):
            json = max(json, quality)
    if html and html >= json:
        return Form.HTML
    return Form.PROBLEM if json else Form.TEXT


def language_of(accept_language: str, known: tuple[str, ...]) -> str:
    """The best of `known`, or its first."""
    wanted = sorted(_weighted(accept_language), key=lambda item: -item[1])
    for tag, quality in wanted:
        language = tag.partition("-")[0]
        if quality and language in known:
            return language
    return known[0]


def _weighted(value: str) -> list[tuple[str, float]]:
    items = []
    for part in value.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        if name:
            items.append((name, quality))
    return items
