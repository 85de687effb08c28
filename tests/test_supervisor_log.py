"""A stored log: byte for byte, rotated without a cut, read from the end, by time, and up to a position."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from procman.log import KEPT, StoredLog
from procman.log_reading import page, tail


def texts(folder: Path, **options: object) -> list[bytes]:
    return [line.text for line in tail(folder, ["shop"], **options)]


def written(folder: Path, data: bytes, rotate_at: int, seed: int = 1) -> StoredLog:
    """Written in pieces of any length, as they are read from a process."""
    log, dice = StoredLog(folder, "shop", rotate_at), random.Random(seed)
    at = 0
    while at < len(data):
        size = dice.randint(1, 3000)
        log.append(data[at : at + size])
        at += size
    return log


DATA = b"".join(b"line %d %s\n" % (number, b"x" * (number % 97)) for number in range(3000))


def test_over_all_rotations_no_byte_is_lost_and_no_line_is_cut(tmp_path: Path) -> None:
    log = written(tmp_path, DATA, 40_000)
    files = [tmp_path / f"shop.log.{number}" for number in range(KEPT, 0, -1)] + [tmp_path / "shop.log"]
    assert b"".join(file.read_bytes() for file in files if file.exists()) == DATA
    assert texts(tmp_path) == DATA.splitlines()
    assert log.position == len(DATA)
    again = StoredLog(tmp_path, "shop", 40_000)  # the next supervisor's
    assert again.position == len(DATA)
    again.append(b"more\n")
    assert texts(tmp_path) == [*DATA.splitlines(), b"more"]


def test_only_the_newest_files_are_kept(tmp_path: Path) -> None:
    log = written(tmp_path, DATA, 5_000)
    assert len(list(tmp_path.glob("shop.log*"))) <= KEPT + 1
    assert log.position == len(DATA)
    kept = texts(tmp_path)
    assert kept[-1] == DATA.splitlines()[-1]
    assert DATA.endswith(b"\n".join(kept[1:]) + b"\n")


@pytest.mark.parametrize("n", [0, 1, 2, 500, 2999, 3000, 5000])
def test_the_last_lines_are_read_from_the_end(tmp_path: Path, n: int) -> None:
    written(tmp_path, DATA, 40_000)
    assert texts(tmp_path, n=n) == DATA.splitlines()[-n:][: n or 0]


@pytest.mark.parametrize("data", [b"", b"no newline", b"one\n", b"one\ntwo", b"\n\n", b"a\rb\r\nc\x85d\x0be\n"])
def test_a_line_is_what_stands_between_newlines(tmp_path: Path, data: bytes) -> None:
    StoredLog(tmp_path, "shop").append(data)
    expected = data.split(b"\n") if not data.endswith(b"\n") else data.split(b"\n")[:-1]
    assert texts(tmp_path) == [line for line in expected if data]
    assert texts(tmp_path, n=1) == [line for line in expected[-1:] if data]


def test_what_is_after_a_position_is_left_to_who_follows(tmp_path: Path) -> None:
    log = StoredLog(tmp_path, "shop")
    log.append(b"one\ntw")
    log.append(b"o\nthree\n")
    assert texts(tmp_path, until={"shop": 4}) == [b"one"]
    assert texts(tmp_path, n=1, until={"shop": 8}) == [b"two"]


def test_a_time_leaves_out_what_is_older(tmp_path: Path) -> None:
    log = StoredLog(tmp_path, "shop")
    log.append(b"one\n")
    log.append(b"two\n")
    first, second = (line.at for line in tail(tmp_path, ["shop"]))
    assert texts(tmp_path, since=second) == ([b"two"] if second > first else [b"one", b"two"])
    assert texts(tmp_path, since=second + 1) == []


def test_a_log_without_its_index_is_still_a_log(tmp_path: Path) -> None:
    log = written(tmp_path, DATA, 40_000)
    log.close()
    for index in tmp_path.glob("*.idx*"):
        index.unlink()
    assert texts(tmp_path) == DATA.splitlines()
    os.truncate(tmp_path / "shop.log", 0)
    assert texts(tmp_path, n=3) != []


def pages(folder: Path, names: list[str], n: int, **options: object) -> list[tuple[str, bytes]]:
    """All pages together, from the newest to the oldest, in the order of the lines."""
    found: list[tuple[str, bytes]] = []
    before: dict[str, int | None] | None = dict.fromkeys(names)
    while before is not None:
        one = page(folder, before, n, **options)
        found = [(line.name, line.text) for line in one.lines] + found
        before = one.before
    return found


@pytest.mark.parametrize("n", [1, 7, 500, 10_000])
def test_pages_from_the_end_backwards_are_the_whole_log(tmp_path: Path, n: int) -> None:
    written(tmp_path, DATA if n > 1 else DATA[:4000], 40_000)
    assert [text for _, text in pages(tmp_path, ["shop"], n)] == (DATA if n > 1 else DATA[:4000]).splitlines()


@pytest.mark.parametrize(
    "data", [b"", b"no newline", b"one\n", b"one\ntwo", b"\n\n", b"\none", b"x" * 600_000 + b"\n\n"]
)
def test_pages_of_any_bytes_are_what_the_whole_is(tmp_path: Path, data: bytes) -> None:
    StoredLog(tmp_path, "shop").append(data)
    assert [text for _, text in pages(tmp_path, ["shop"], 1)] == [line.text for line in tail(tmp_path, ["shop"])]


def test_a_line_without_an_end_is_told_in_pieces_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    data = b"begin\n" + b"x" * 5_000_000
    StoredLog(tmp_path, "shop").append(data)
    found = pages(tmp_path, ["shop"], 1)
    assert found[0][1] == b"begin"
    assert b"".join(text for _, text in found[1:]) == b"x" * 5_000_000


def test_pages_of_several_processes_are_merged_by_time_and_tell_each_line_once(tmp_path: Path) -> None:
    logs = {name: StoredLog(tmp_path, name) for name in ("shop", "cart")}
    for number in range(200):
        logs["shop" if number % 3 else "cart"].append(b"%d\n" % number)
    found = pages(tmp_path, ["shop", "cart", "nobody"], 7)
    assert [int(text) for _, text in found] == list(range(200))


def test_what_is_written_between_two_pages_is_in_neither(tmp_path: Path) -> None:
    logs = {name: StoredLog(tmp_path, name) for name in ("shop", "cart")}
    logs["cart"].append(b"1\n")
    logs["shop"].append(b"2\n3\n")
    first = page(tmp_path, {"shop": None, "cart": None}, 1)
    logs["cart"].append(b"4\n")
    assert first.before is not None
    second = page(tmp_path, dict(first.before), 10)
    assert [line.text for line in (*second.lines, *first.lines)] == [b"1", b"2", b"3"]


def test_a_search_goes_on_where_it_was_ended(tmp_path: Path) -> None:
    log = StoredLog(tmp_path, "shop")
    log.append(b"needle one\n" + b"hay\n" * 100_000 + b"needle two\n")
    first = page(tmp_path, {"shop": None}, 10, lambda text: b"needle" in text)
    assert [line.text for line in first.lines] == [b"needle two"]
    assert first.before is not None
    assert [text for _, text in pages(tmp_path, ["shop"], 10, matches=lambda text: b"needle" in text)] == [
        b"needle one",
        b"needle two",
    ]
