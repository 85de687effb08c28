"""``/v1/subscriptions`` and ``/v1/deadletters``: how each subscription stands, and what can be done about it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from proxy_addons.events import json_format
from proxy_addons.events.api import Api
from proxy_addons.events.event import epoch
from proxy_addons.events.http_message import Request, Response
from proxy_addons.events.lane import Lane
from proxy_addons.events.log import Log
from proxy_addons.events.progress import DeadLetter, Item, Progress
from proxy_addons.events.question import number
from proxy_addons.events.refusal import RefusalError
from proxy_addons.events.subscriptions import Subscriptions

#: Events of one replay: more of them is what `seek` is for.
_MOST_REPLAYED = 10_000
_LONGEST_WAIT = 3600.0
#: Dead letters of one question.
_MOST_LETTERS = 1000
#: What SQLite can number, in digits.
_DIGITS = 18
_LARGEST = 10**_DIGITS
_WHICH = "Say which: ?number=1,2 or ?subscription=NAME"


class Steering:
    """The verbs. Each answers with how things stand after it."""

    def __init__(self, log: Log, progress: Progress, subscriptions: Subscriptions) -> None:
        self._log = log
        self._progress = progress
        self._subscriptions = subscriptions

    def add_to(self, api: Api) -> None:
        """Its routes."""
        api.add("GET", "/v1/subscriptions", self.all)
        api.add("GET", "/v1/subscriptions/{name}", self.one)
        for verb in (self.pause, self.resume, self.seek, self.drain, self.replay):
            api.add("POST", f"/v1/subscriptions/{{name}}/{verb.__name__}", verb)
        api.add("GET", "/v1/deadletters", self.dead)
        api.add("POST", "/v1/deadletters/retry", self.retry)
        api.add("POST", "/v1/deadletters/drop", self.drop)

    async def all(self, _: Request) -> Response:
        """Every subscription."""
        dead = await self._progress.count_dead()
        return answer({"subscriptions": [_facts(lane, dead) for _, lane in sorted(self._subscriptions.lanes.items())]})

    async def one(self, _: Request, name: str) -> Response:
        """One of them."""
        return answer(_facts(self._lane(name), await self._progress.count_dead()))

    async def pause(self, request: Request, name: str) -> Response:
        """Nothing is delivered until it is resumed; its events wait."""
        return await self._set(request, name, paused=True)

    async def resume(self, request: Request, name: str) -> Response:
        """After a pause, and after a 410 as well."""
        return await self._set(request, name, paused=False)

    async def _set(self, request: Request, name: str, *, paused: bool) -> Response:
        lane = self._lane(name)
        lane.standing.paused = paused
        if not paused:
            lane.standing.ended = ""
        await self._save(lane)
        lane.reopen()
        return await self.one(request, name)

    async def seek(self, request: Request, name: str) -> Response:
        """Goes on after ``?to=``: a place, a time, ``first`` or ``last``."""
        lane = self._lane(name)
        lane.seek(await self._place(request.query.get("to", "")))
        await self._save(lane)
        return await self.one(request, name)

    async def drain(self, request: Request, name: str) -> Response:
        """Waits until nothing waits for it, at most ``?wait=`` seconds; 504 if something still does."""
        lane = self._lane(name)
        seconds = number(request, "wait", 30.0, _LONGEST_WAIT)
        try:
            async with asyncio.timeout(seconds):
                await lane.drained()
        except TimeoutError:
            raise RefusalError(504, f"{lane.waiting} events still wait for {name} ({lane.state})") from None
        return await self.one(request, name)

    async def replay(self, request: Request, name: str) -> Response:
        """Delivers ``?from=`` to ``?to=`` once more, beside what is new; what was delivered stays delivered."""
        lane = self._lane(name)
        first = await self._place(request.query.get("from", ""))
        last = await self._place(request.query.get("to", "last"))
        items: list[Item] = []
        after = first
        while after < last and (batch := await self._log.read(after, 100)):
            after = batch[-1].seq
            items += [Item(stored) for stored in batch if stored.seq <= last and lane.rules.accepts(stored)]
            if len(items) > _MOST_REPLAYED:
                raise RefusalError(400, f"More than {_MOST_REPLAYED} events: use seek, or name fewer")
        await self._progress.park(name, items)
        for item in items:
            item.parked = True
            lane.add_parked(item)
        return answer({"replayed": len(items), **_facts(lane, await self._progress.count_dead())})

    async def dead(self, request: Request) -> Response:
        """The dead letters, of ``?subscription=`` or ``?number=1,2``, the oldest first and behind ``?after=``."""
        name = request.query.get("subscription")
        limit = int(number(request, "limit", 100, _MOST_LETTERS, 1))
        after = int(number(request, "after", 0, _LARGEST))
        if numbers := _numbers(request):
            return answer({"deadletters": list(map(_letter, await self._named(numbers, name)))})
        letters = await self._progress.dead(name, after=after, limit=limit)
        if name and not letters and not after:
            self._lane(name)  # of somebody who is not there: said, rather than "none"
        return answer({"deadletters": list(map(_letter, letters))})

    async def retry(self, request: Request) -> Response:
        """``?number=1,2`` or ``?subscription=``: they are delivered again, with all attempts before them."""
        count = 0
        async for letters in self._chosen(request):
            items = await self._progress.exhume(letters, again=True)
            for letter, item in zip(letters, items, strict=True):
                lane = self._subscriptions.lanes.get(letter.subscription)
                if lane:
                    lane.add_parked(item)
            count += len(letters)
        return answer({"retried": count})

    async def drop(self, request: Request) -> Response:
        """The same choice, but they are forgotten."""
        count = 0
        async for letters in self._chosen(request):
            await self._progress.exhume(letters, again=False)
            count += len(letters)
        return answer({"dropped": count})

    async def _chosen(self, request: Request) -> AsyncIterator[list[DeadLetter]]:
        """In parts, so that many of them do not have to be in memory together."""
        name = request.query.get("subscription")
        numbers = _numbers(request)
        if numbers:
            yield await self._named(numbers, name)
            return
        if not name:
            raise RefusalError(400, _WHICH)
        newest = await self._progress.newest_dead(name)  # what is given up again meanwhile is not meant
        if not newest:
            self._lane(name)
        after = 0
        while after < newest and (letters := await self._progress.dead(name, after=after, limit=_MOST_LETTERS)):
            after = letters[-1].number
            yield [letter for letter in letters if letter.number <= newest]

    async def _named(self, numbers: set[int], name: str | None) -> list[DeadLetter]:
        letters = await self._progress.dead(name, numbers, limit=len(numbers))
        missing = numbers - {letter.number for letter in letters}
        if missing:
            raise RefusalError(404, f"There is no dead letter {min(missing)}{f' of {name}' if name else ''}")
        return letters

    async def _place(self, text: str) -> int:
        if text in {"first", "last"}:
            return 0 if text == "first" else self._log.last
        try:
            return min(int(text), self._log.last) if text.isdecimal() else await self._log.seq_at(epoch(text))
        except ValueError:
            known = "a place (17), a time (2026-11-23T09:30:00Z), first or last"
            raise RefusalError(400, f'"{text}" is not {known}') from None

    def _lane(self, name: str) -> Lane:
        lane = self._subscriptions.lanes.get(name)
        if lane is None:
            known = ", ".join(sorted(self._subscriptions.lanes)) or "nobody"
            raise RefusalError(404, f"{name} subscribes to nothing. There is: {known}")
        return lane

    async def _save(self, lane: Lane) -> None:
        await self._progress.save(lane.standing)


def answer(value: Any) -> Response:
    """As JSON."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return Response(200, text.encode() + b"\n", {"Content-Type": "application/json"})


def _numbers(request: Request) -> set[int]:
    parts = [part for part in request.query.get("number", "").split(",") if part]
    if not all(map(str.isdecimal, parts)) or len(parts) > _MOST_LETTERS:
        raise RefusalError(400, f"{_WHICH}; at most {_MOST_LETTERS} numbers")
    if beyond := next((part for part in parts if len(part) > _DIGITS), ""):
        raise RefusalError(404, f"There is no dead letter {beyond[:30]}")
    return set(map(int, parts))


def _facts(lane: Lane, dead: dict[str, int]) -> dict[str, Any]:
    standing = lane.standing
    return {
        "name": standing.name,
        "state": lane.state,
        "cursor": standing.cursor,
        "waiting": lane.waiting,
        "in_flight": lane.in_flight,
        "parked": lane.parked,
        "dead": dead.get(standing.name, 0),
        "delivered": lane.counts.delivered,
        "problem": standing.ended or lane.sender.problem or ("" if lane.sender.ready else "it does not run"),
    }


def _letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "number": letter.number,
        "subscription": letter.subscription,
        "seq": letter.seq,
        "at": letter.at,
        "attempts": letter.attempts,
        "status": letter.status,
        "reason": letter.reason,
        "event": json.loads(json_format.write(letter.event)),
    }
