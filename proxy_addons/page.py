"""Writes a diagnosis out: HTML for people, a problem document for programs (RFC 9457), three lines for a terminal."""

from __future__ import annotations

import json
from typing import Final

from proxy_addons.acceptance import Form
from proxy_addons.button import EVENTS, SCRIPT
from proxy_addons.diagnosis import Diagnosis
from proxy_addons.page_template import PageTemplate
from proxy_addons.site import Site
from proxy_addons.words import Words

_TEMPLATE: Final = PageTemplate("fallback.html", "fallback.css")


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
        text = three_lines(diagnosis)
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


def three_lines(diagnosis: Diagnosis) -> str:
    """What is wrong, why, what to type; fit for a terminal, so no control character gets through."""
    why = "; ".join(f"{fact.label}: {fact.value}" for fact in diagnosis.facts[:2]) if diagnosis.service else ""
    if diagnosis.links:
        why = ", ".join(link.name for link in diagnosis.links[:10])
    lines = (
        f"{diagnosis.status} {diagnosis.title}",
        f"{diagnosis.text} {f'({why})' if why else ''}".strip(),
        "; ".join(f"{command.line}  # {command.does}" for command in diagnosis.commands),
    )
    return "".join(f"{_printable(line)}\n" for line in lines if line)


def one_line(diagnosis: Diagnosis) -> str:
    """What is wrong, and what to type."""
    return _printable(": ".join((diagnosis.title, *(command.line for command in diagnosis.commands[:1]))))


def _printable(line: str) -> str:
    return "".join(character if character.isprintable() else " " for character in line)
