"""HTML from files: templates with escaped values, in the reader's language."""

from __future__ import annotations

import html
import string
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from common.message import Request, Response
from common.settings import Settings

SHARED = Path(__file__).parent
LANGUAGES = ("en", "ja")  # the first one is for everybody whose languages are not here


class Markup(str):
    """Text that is HTML already. Everything else is escaped when it is put into a template."""

    __slots__ = ()

    @classmethod
    def join_all(cls, parts: Iterable[str]) -> Markup:
        return cls("\n".join(parts))


class Template(string.Template):
    idpattern = r"(?:t\.)?[a-z_]+"  # $title, and $t.title for a text in the reader's language


class Texts:
    """A service's texts in one language, above those that all share."""

    def __init__(self, language: str, *tables: Mapping[str, Mapping[str, str]]) -> None:
        self.language = language
        self._texts = {key: text for table in tables for key, text in table.get(language, {}).items()}

    def __call__(self, key: str, **values: Any) -> str:
        return self._texts[key].format(**values)

    def moment(self, moment: datetime) -> str:
        """As "Tue 24 Nov 09:30"."""
        return f"{self.day(moment)} {moment:%H:%M}"

    def day(self, day: date) -> str:
        """As "Tue 24 Nov" (locale.setlocale would ask for languages that this machine may not have)."""
        weekday, month = self("weekdays").split()[day.weekday()], self("months").split()[day.month - 1]
        return self("day", weekday=weekday, month=month, day=day.day)


class Pages:
    """The pages of a service: its `templates/`, its `texts.toml`."""

    def __init__(self, settings: Settings) -> None:
        self.name = settings.name
        self.folder = settings.folder
        self._badge = settings.badge
        tables = [
            tomllib.loads((place / "texts.toml").read_text("utf-8"))
            for place in (SHARED, self.folder)
            if _has_texts(place)
        ]
        self._texts = {language: Texts(language, *tables) for language in LANGUAGES}
        self._read = cache(self._find)

    def _find(self, template: str) -> Template:
        path = self.folder / "templates" / template
        return Template((path if path.is_file() else SHARED / "templates" / template).read_text("utf-8"))

    def texts(self, request: Request) -> Texts:
        return self._texts[preferred(request.headers.get("Accept-Language", ""), LANGUAGES)]

    def fill(self, request: Request, template: str, **values: Any) -> Markup:
        """A piece of a page."""
        return Markup(self._read(template).substitute(_Values(values, self.texts(request))))

    def render(
        self,
        request: Request,
        template: str,
        *,
        title: str,
        status: int = 200,
        who: str = "",
        hints: Iterable[str] = (),
        **values: Any,
    ) -> Response:
        """A whole page. `who` is the corner for the visitor's name, `hints` says who else was asked for this page."""
        texts = self.texts(request)
        page = self.fill(
            request,
            "layout.html",
            lang=texts.language,
            name=self.name,
            title=title,
            who=who,
            badge=self.fill(request, "badge.html", text=self._badge) if self._badge else "",
            hints=" · ".join(hints),
            main=self.fill(request, template, title=title, **values),
        )
        headers = [("Vary", "Accept-Language"), ("Cache-Control", "no-store")]
        return Response(page.encode(), status, headers=headers)


def _has_texts(place: Path) -> bool:
    return (place / "texts.toml").is_file()


class _Values(dict[str, Any]):
    """What a template sees: values, escaped unless they are Markup, and texts under ``t.``."""

    def __init__(self, values: Mapping[str, Any], texts: Texts) -> None:
        super().__init__(values)
        self._texts = texts

    def __getitem__(self, key: str) -> str:
        value = self._texts(key[2:]) if key.startswith("t.") else super().__getitem__(key)
        return value if isinstance(value, Markup) else html.escape(str(value))


def preferred(accept_language: str, offered: tuple[str, ...]) -> str:
    """The best of the `offered` languages for an Accept-Language header (RFC 9110, 12.5.4)."""
    best, best_quality = offered[0], 0.0
    for entry in accept_language.split(","):
        tag, _, parameter = entry.strip().partition(";")
        try:
            quality = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        language = tag.partition("-")[0].lower()
        if language in offered and quality > best_quality:
            best, best_quality = language, quality
    return best
