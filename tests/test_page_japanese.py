"""The Japanese of all pages is one: spaced in one way, and with one word for one thing."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from workbench import ROOT

_PAGES = ROOT / "proxy_addons/pages"
_DASHBOARD = ROOT / "proxy_addons/dashboard/static/words.js"
#: What these are filled in with ends in Japanese.
_JAPANESE = re.compile(r"\{(?:span|state|since|said|means|ending)\}")
_LETTER = "[ぁ-んァ-ヶー一-龠々]"
_TOUCHING = re.compile(f"{_LETTER}(?=[!-~])|[!-~](?={_LETTER})")
#: A space beside a full-width sign, which brings its own.
_WIDE = re.compile("[、。（）「」：] | [、。（）「」：]")  # noqa: RUF001 (the wide ones are meant)
_OTHER_TERMS = re.compile("アイデンティティ|登録されている人|ログイン|ユーザー")


def _texts(value: Any) -> Iterator[str]:
    """Every text of a table, whatever it stands in; of a command and what it does, both."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _japanese() -> Iterator[str]:
    for name in ("words.toml", "issuer.toml"):
        yield from _texts(tomllib.loads((_PAGES / name).read_text(encoding="utf-8"))["ja"])
    for text in re.findall(r'"((?:[^"\\]|\\.)*)"', _DASHBOARD.read_text(encoding="utf-8")):
        if re.search(_LETTER, text):
            yield text


def test_all_three_files_are_looked_at() -> None:
    texts = list(_japanese())
    for known in ("{service} は起動していません", "選べる利用者がいません", "本文へ移動"):
        assert known in texts


@pytest.mark.parametrize("text", sorted(set(_japanese())))
def test_one_space_parts_japanese_from_latin_and_none_stands_beside_a_wide_sign(text: str) -> None:
    shown = _JAPANESE.sub("5 分", text).replace("[identity.名前]", "[identity.NAME]")
    assert not _TOUCHING.search(shown)
    assert not _WIDE.search(shown)


def test_one_thing_has_one_name() -> None:
    assert [text for text in _japanese() if _OTHER_TERMS.search(text)] == []
