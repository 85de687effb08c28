"""A page of `pages/`: its template, and the style that goes with it into one document."""

from __future__ import annotations

import base64
import functools
import hashlib
from typing import TYPE_CHECKING

from proxy_addons.fallback.words import PAGES

if TYPE_CHECKING:
    from jinja2 import Environment


class PageTemplate:
    """Read with its first use, and kept."""

    def __init__(self, name: str, *styles: str) -> None:
        """`name` and `styles`: files of `pages/`."""
        self._name = name
        self._styles = styles

    def render(self, **values: object) -> str:
        """The document; every value is escaped."""
        return _environment().get_template(self._name).render(style=self._style, **values)

    @functools.cached_property
    def style_source(self) -> str:
        """The rule of a Content-Security-Policy that lets in this page's own style and no other."""
        digest = base64.b64encode(hashlib.sha256(self._style.encode()).digest()).decode()
        return f"style-src 'sha256-{digest}'"

    @functools.cached_property
    def _style(self) -> str:
        return "".join((PAGES / name).read_text(encoding="utf-8") for name in self._styles)


@functools.cache
def _environment() -> Environment:
    # jinja2 costs 50 ms and 2 MB, once, with the first page. It escapes every value by itself.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - see above

    return Environment(
        autoescape=True,
        loader=FileSystemLoader(PAGES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
