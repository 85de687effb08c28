"""The page on a terminal: each command can be pasted, prose ends at 76 columns, a program's words stay whole."""

from __future__ import annotations

import pytest

from proxy_addons.fallback.acceptance import Form
from proxy_addons.fallback.diagnosis import Command, Diagnosis
from proxy_addons.fallback.page import write
from proxy_addons.fallback.words import LANGUAGES, words
from proxy_addons.problem import Code

_NAMES = (
    "service",
    "host",
    "domain",
    "remote",
    "detail",
    "reference",
    "dir",
    "setup",
    "port",
    "ending",
    "needs",
    "new",
)
_VALUES = {name: name for name in _NAMES}


def _lines(code: Code, language: str) -> tuple[Diagnosis, list[str]]:
    said = words(language)
    diagnosis = Diagnosis(
        status=503,
        code=code,
        tone="bad",
        title=said.title(code, _VALUES),
        text=said.text(code, _VALUES),
        method="GET",
        url="http://shop.localhost/",
        by="",
        commands=[Command(*one) for one in said.commands(code, _VALUES)],
        service="shop",
        log=["up", " ", "x" * 200, "\x9b31mred"],
    )
    return diagnosis, write(diagnosis, Form.TEXT, said).decode().splitlines()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", list(Code))
def test_each_command_stands_alone_on_its_line_and_what_it_does_below(code: Code, language: str) -> None:
    diagnosis, lines = _lines(code, language)
    for command in diagnosis.commands:
        at = lines.index(f"  {command.line}")
        assert lines[at + 1] == f"      {command.does}"
    assert not any("#" in line for line in lines)  # zsh takes no comment where one types


@pytest.mark.parametrize("code", list(Code))
def test_prose_ends_at_76_columns_and_a_programs_words_are_whole(code: Code) -> None:
    _, lines = _lines(code, "en")
    log = lines.index("Last lines of its output:")
    assert lines[log + 1 : log + 4] == ["  up", f"  {'x' * 200}", "   31mred"]
    assert max(map(len, [*lines[: log + 1], *lines[log + 4 :]])) <= 76
