"""Whoever sees little can read the page: every text colour of the style sheet, on everything that it may stand on."""

from __future__ import annotations

import re

import pytest
from workbench import ROOT

STYLE = (ROOT / "proxy_addons" / "pages" / "fallback.css").read_text()
#: WCAG 2.2, success criteria 1.4.3 (text, level AA) and 1.4.11 (what is no text: the ring around what has the focus).
TEXT, RING = 4.5, 3.0
GROUNDS = ("page", "card", "code")


def colours(scheme: str) -> dict[str, str]:
    blocks = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    assert len(blocks) == 2
    found = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6});", block)) for block in blocks]
    return found[0] if scheme == "light" else found[0] | found[1]


def luminance(colour: str) -> float:
    """WCAG 2.2, "relative luminance"."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    shares = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def pairs() -> list[tuple[str, str, str]]:
    """Selector, text colour, ground: the rule's own ground, or any of those that the page has."""
    found = []
    for selector, body in re.findall(r"([^{};]+)\{([^{}]*)\}", STYLE):
        text = re.search(r"(?:^|[;\s])color: var\(--([a-z-]+)\)", body)
        ground = re.search(r"background: var\(--([a-z-]+)\)", body)
        if text:
            found += [(selector.strip(), text[1], own) for own in ((ground[1],) if ground else GROUNDS)]
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(scheme: str) -> None:
    known = colours(scheme)
    seen = pairs()
    assert len(seen) > 40
    too_weak = {
        (selector, f"{ratio:.2f}")
        for selector, text, ground in seen
        if (ratio := contrast(known[text], known[ground])) < TEXT
    }
    assert too_weak == set()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_ring_around_what_has_the_focus_is_seen(scheme: str) -> None:
    known = colours(scheme)
    assert ":focus-visible { outline: 2px solid var(--link)" in STYLE
    assert [ground for ground in GROUNDS if contrast(known["link"], known[ground]) < RING] == []


def test_the_formula_is_wcags() -> None:
    assert contrast("#000", "#fff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the classic that just fails
