"""Who follows logs and does not read costs the supervisor a bounded amount of memory, however long the lines are."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from procman.control.conversation import Conversation
from procman.control.following import WAITING_BYTES, WAITING_LINES, Following, Hearers


class Reading:
    """A conversation that was not read until now."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.all_told = asyncio.Event()

    async def tell(self, **line: Any) -> None:
        self.told.append(line)
        if "missed" in line:
            self.all_told.set()


@pytest.mark.parametrize(("length", "kept"), [(64 * 1024, WAITING_BYTES // (64 * 1024)), (10, WAITING_LINES)])
def test_what_a_slow_reader_misses_is_counted_and_the_newest_is_kept(length: int, kept: int) -> None:
    hearers: Hearers = set()
    following = Following(hearers, ["shop.web"])
    (hear,) = hearers
    number = kept + 25
    for index in range(number):
        hear("shop.web", str(index).encode().ljust(length) + b"\n")
    hear("other.web", b"not asked for\n")

    async def tell() -> list[dict[str, Any]]:
        reading = Reading()
        telling = asyncio.ensure_future(following.tell(cast("Conversation", reading)))
        await asyncio.wait_for(reading.all_told.wait(), 20)
        telling.cancel()
        return reading.told

    *lines, last = asyncio.run(tell())
    assert last == {"missed": 25}
    assert [int(line["line"]["text"]) for line in lines] == list(range(25, number))
