"""Writes a diagnosis out: HTML for people, a problem document for programs (RFC 9457), plain text for a terminal."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from typing import Final

from proxy_addons.fallback.acceptance import Form
from proxy_addons.fallback.button import EVENTS, SCRIPT
from proxy_addons.fallback.diagnosis import Diagnosis
from proxy_addons.fallback.template import PageTemplate
from proxy_addons.fallback.words import Words
from proxy_addons.site import Site

_TEMPLATE: Final = PageTemplate("fallback.html", "fallback.css")
#: Columns of prose on a terminal, and how much of a service's output and of other services stands there.
_WIDTH, _LOG_LINES, _LINKS = 76, 5, 10


def write(diagnosis: Diagnosis, form: Form, words: Words) -> bytes:
    """The body, in UTF-8."""
    if form is Form.HTML:
        # Only where asking again repeats nothing but a look at a page.
        again = diagnosis.tone == "wait" and diagnosis.method == "GET"
        refresh = diagnosis.retry_after if again else None
        text = _TEMPLATE.render(page=diagnosis, words=words.labels, lang=words.language, refresh=refresh, script=SCRIPT)
    elif form is Form.PROBLEM:
        text = json.dumps(problem_document(diagnosis), ensure_ascii=False, indent=2) + "\n"
    else:
        text = plain_text(diagnosis, words)
    # A header or a log line may hold bytes that were no UTF-8.
    return text.encode("utf-8", "replace")


def security_policy(diagnosis: Diagnosis, site: Site) -> str:
    """What the page may do: nothing but its own style, its own script, its own events, and to press its own button.

    The script is named by its whole URL, the style by its hash: what a service keeps on the same host is no part of it.
    """
    rules = ["default-src 'none'", _TEMPLATE.style_source, "img-src data:", "base-uri 'none'"]
    if diagnosis.events:
        rules += [f"script-src {site}{SCRIPT}", f"connect-src {site}{EVENTS}"]
    rules += ["form-action 'self'" if diagnosis.button else "form-action 'none'", "frame-ancestors 'self'"]
    return "; ".join(rules)


def problem_document(diagnosis: Diagnosis) -> dict[str, object]:
    """Stable names. `type` is left out, which means "about:blank": the code says what a URL would."""
    document: dict[str, object] = {
        "title": diagnosis.title,
        "status": diagnosis.status,
        "detail": diagnosis.text,
        "instance": diagnosis.url,
        "code": diagnosis.code,
        "service": diagnosis.service or None,
        "state": diagnosis.state or None,
        "hint": diagnosis.commands[0].line if diagnosis.commands else None,
    }
    if diagnosis.commands:
        document["commands"] = [one._asdict() for one in diagnosis.commands]
    if diagnosis.service and diagnosis.facts:
        document["facts"] = [{"label": fact.label, "value": fact.value} for fact in diagnosis.facts]
    if diagnosis.reference:
        document["reference"] = diagnosis.reference
    if diagnosis.links:
        document["nearest" if diagnosis.nearest else "services"] = [link.url for link in diagnosis.links]
    if diagnosis.known:
        document["known"] = list(diagnosis.known)
    if diagnosis.log:
        document["log"] = diagnosis.log
    if diagnosis.mistakes:
        document["mistakes"] = diagnosis.mistakes
    return document


def plain_text(diagnosis: Diagnosis, words: Words) -> str:
    """What is wrong, why, and what to type, each command on a line of its own so that it can be pasted into any shell.

    Fit for a terminal: prose ends at `_WIDTH`, and no control character gets through. What a service, a file or a
    command says is never broken.
    """
    labels = words.labels
    log = [line for line in diagnosis.log if line.strip()][-_LOG_LINES:]
    blocks = [
        [f"{diagnosis.status} {diagnosis.title}", *_wrapped(diagnosis.text)],
        [f"{fact.label}: {fact.value}" for fact in diagnosis.facts] if diagnosis.service else [],
        _under(labels["nearest" if diagnosis.nearest else "all"], [link.url for link in diagnosis.links[:_LINKS]]),
        _under(labels["mistakes"], [line for mistake in diagnosis.mistakes for line in mistake.splitlines()]),
        _under(labels["log"], log),
        _under(labels["todo"], [line for one in diagnosis.commands for line in (one.line, f"    {one.does}")]),
    ]
    return "\n".join("".join(f"{_printable(line)}\n" for line in block) for block in blocks if block)


def _under(label: str, lines: Sequence[str]) -> list[str]:
    return [f"{label}:", *(f"  {line}" for line in lines)] if lines else []


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def one_line(diagnosis: Diagnosis) -> str:
    """What is wrong, and what to type."""
    return _printable(": ".join((diagnosis.title, *(command.line for command in diagnosis.commands[:1]))))


def _printable(line: str) -> str:
    return "".join(character if character.isprintable() else " " for character in line)
