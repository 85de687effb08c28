"""A stored log: byte for byte, rotated without a cut, read from the end, by time, and up to a position."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from procman.log import KEPT, StoredLog, tail


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
