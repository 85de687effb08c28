"""What text is on a terminal."""

from __future__ import annotations

import pytest

from procman.cli.terminal_text import cut, padded, plain, width


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", 0), ("order", 5), ("東京", 4), ("ｶﾅ", 2), ("全", 2), ("e\u0301", 1), ("か\u3099", 2), ("😀", 2), ("é", 1)],
)
def test_a_text_is_as_wide_as_a_terminal_shows_it(text: str, columns: int) -> None:
    assert width(text) == columns


def test_what_is_cut_fits_and_says_that_there_is_more() -> None:
    for text in ("an order of pens", "東京の店で買った本", "a東b京c"):
        for columns in range(1, width(text)):
            short = cut(text, columns)
            assert columns - 1 <= width(short) <= columns
            assert short.endswith("…")
        assert cut(text, width(text)) == text


def test_columns_line_up_whatever_stands_in_them() -> None:
    assert {width(padded(text, 10)) for text in ("", "order", "東京", "e\u0301")} == {10}


def test_nothing_is_left_that_a_terminal_would_obey() -> None:
    assert plain("\x1b[2J\x9b31m\u202e東京\n") == "\ufffd[2J\ufffd31m\ufffd東京\ufffd"
