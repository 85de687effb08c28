"""Events, subscriptions and dead letters: the broker's own functions, asked in the same process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from proxy_addons.dashboard import schema
from proxy_addons.dashboard.message import Request
from proxy_addons.dashboard.operation import Operation
from proxy_addons.dashboard.schema import Schema
from proxy_addons.dashboard.stream import Say
from proxy_addons.events.refusal import RefusalError

if TYPE_CHECKING:
    from proxy_addons.events.hosting import Hosting

#: Seconds until the broker has to have opened its log; for which one question waits for events; between two looks at
#: the subscriptions, which ring no bell, while somebody shows them.
_PATIENCE: Final = 10.0
_WAIT: Final = 15.0
_LOOK: Final = 1.0
#: Events that a listener begins with.
_FIRST: Final = 50

_EVENT = schema.record(
    seq=schema.whole("Its place in the log."),
    at=schema.number("Seconds since the epoch."),
    origin=schema.text("The broker that it was sent to first; empty: this one."),
    event={"type": "object", "description": "CloudEvents 1.0, in its JSON form."},
)
_PAGE = schema.record(events=schema.several(_EVENT), after=schema.whole(), last=schema.whole())
_SUBSCRIPTION = schema.record(
    name=schema.text(),
    state=schema.text(),
    cursor=schema.whole(),
    waiting=schema.whole(),
    in_flight=schema.whole(),
    parked=schema.whole(),
    dead=schema.whole(),
    delivered=schema.whole(),
    problem=schema.text(),
)
_SUBSCRIPTIONS = schema.record(subscriptions=schema.several(_SUBSCRIPTION))
_LETTER = schema.record(
    number=schema.whole(),
    subscription=schema.text(),
    seq=schema.whole(),
    at=schema.number(),
    attempts=schema.whole(),
    status=schema.maybe(schema.whole()),
    reason=schema.text(),
    event={"type": "object"},
)
_PLACE = schema.text("A place (`17`), a time (`2026-11-24T09:30:00Z`), `first` or `last`.", minLength=1)
_CHOICE = schema.record(
    "Which: one of them.",
    optional=("numbers", "subscription"),
    numbers=schema.several(schema.whole(minimum=1), minItems=1, maxItems=1000),
    subscription=schema.text("All of this subscription.", minLength=1),
)
_WAY = schema.text(enum=["off", "ok", "degraded"])
_REMOTE = schema.record(
    optional=("receiving", "because"),
    url=schema.text(),
    forward=_WAY,
    receive=_WAY,
    receiving=schema.text("How: a stream, or long polls; empty: not yet."),
    because=schema.text("Why it is not the quicker way."),
)
_HEALTH = schema.record(
    optional=("engine", "where", "events", "bytes", "entries"),
    status=schema.text(
        "ok, or degraded: `problems` says why, by name, and `hints` what to type.", enum=["ok", "degraded"]
    ),
    broker=schema.text("Its id."),
    log=schema.text("The log's own."),
    last=schema.whole("The newest event's place."),
    waiting=schema.whole("Events that the slowest subscriber has not had."),
    backlog=schema.whole("How many may wait before publishers get 429."),
    engine=schema.text("sqlite, nats or redis."),
    where=schema.text("The file, or the server with its stream."),
    events=schema.whole("In the log."),
    bytes=schema.whole("That they take."),
    entries=schema.whole("Of the stream, where a server keeps it."),
    remote=schema.maybe(_REMOTE),
    problems=schema.table(schema.text()),
    hints=schema.table(schema.text()),
    cautions=schema.table(schema.text("What promises less than it could.")),
)
_REFUSED = {404: "There is none of that name or number.", 503: "The broker is not there."}


class Events:
    """`hosting` is None until the gateway has loaded its broker, a second after its start."""

    def __init__(self, hosting: Callable[[], Hosting | None]) -> None:
        self._hosting = hosting

    def operations(self) -> list[Operation]:
        """Its rows in the table."""
        reading = {
            "after": schema.whole("Events behind this place; negative: so many from the end.", default=0),
            "limit": schema.whole(minimum=1, maximum=1000),
            "type": schema.text("Patterns of types, with commas."),
        }
        asked: tuple[tuple[str, str, str, Schema, dict[str, Schema]], ...] = (
            ("/events", "list_events", "The log of events.", _PAGE, reading),
            ("/events/subscriptions", "list_subscriptions", "How each subscription stands.", _SUBSCRIPTIONS, {}),
            ("/events/health", "get_events_health", "Where the log is, and what is wrong.", _HEALTH, {}),
            (
                "/events/deadletters",
                "list_deadletters",
                "What could not be delivered.",
                schema.record(deadletters=schema.several(_LETTER)),
                {"subscription": schema.text(), "limit": schema.whole(minimum=1, maximum=1000)},
            ),
        )
        return [
            *(
                Operation("GET", path, name, about, self._read, gives, query, refuses=_REFUSED, group="events")
                for path, name, about, gives, query in asked
            ),
            *self._steering(),
        ]

    def _steering(self) -> list[Operation]:
        replay = schema.members_of({"from": _PLACE, "to": _PLACE}, optional=("to",))
        one = "/events/subscriptions/{name}"
        rows: tuple[tuple[str, str, str, Schema, Schema | None], ...] = (
            (f"{one}/pause", "pause", "Deliver nothing until it is resumed.", _SUBSCRIPTION, None),
            (f"{one}/resume", "resume", "Deliver again.", _SUBSCRIPTION, None),
            (f"{one}/seek", "seek", "Go on behind another place.", _SUBSCRIPTION, schema.record(to=_PLACE)),
            (
                f"{one}/replay",
                "replay",
                "Deliver some of the log once more.",
                _SUBSCRIPTION,
                replay,
            ),
            ("/events/deadletters/retry", "retry", "Deliver dead letters again.", _count("retried"), _CHOICE),
            ("/events/deadletters/drop", "drop", "Forget dead letters.", _count("dropped"), _CHOICE),
        )
        return [
            Operation(
                "POST",
                path,
                f"{verb}_subscription" if "{" in path else f"{verb}_deadletters",
                about,
                self._steer,
                gives,
                takes=takes,
                refuses=_REFUSED,
                group="events",
            )
            for path, verb, about, gives, takes in rows
        ]

    async def _read(self, request: Request) -> Any:
        return await self._ask("GET", _path(request), request.values)

    async def _steer(self, request: Request) -> Any:
        values = {key: value for key, value in request.values.items() if key != "name"}
        if "numbers" in values:
            values["number"] = ",".join(map(str, values.pop("numbers")))
        return await self._ask("POST", _path(request), values)

    async def follow(self, say: Say, _: Request) -> None:
        """``event``, one by one, the last ones at first; ``subscriptions`` and ``health``, when they have changed."""
        watching = asyncio.create_task(self._follow_standing(say))
        try:
            page = await self._ask("GET", "/v1/events", {"after": -_FIRST})
            while True:
                for event in page["events"]:
                    await say("event", event)
                page = await self._ask("GET", "/v1/events", {"after": page["after"], "wait": _WAIT})
        finally:
            watching.cancel()

    async def _follow_standing(self, say: Say) -> None:
        told: dict[str, Any] = {}
        brief = None
        while True:
            now = {"subscriptions": await self._ask("GET", "/v1/subscriptions", {})}
            before, brief = brief, await self._ask("GET", "/healthz", {"facts": "no"})
            if brief != before:  # only then is the log asked for its size
                now["health"] = await self._ask("GET", "/healthz", {})
            for name, value in now.items():
                if value != told.get(name):
                    told[name] = value
                    await say(name, value)
            await asyncio.sleep(_LOOK)

    async def _ask(self, method: str, path: str, query: Mapping[str, Any]) -> Any:
        """The broker's answer. Raises `RefusalError`, the broker's own too."""
        from proxy_addons.events.http_message import Request as BrokerRequest  # noqa: PLC0415 - loaded with the broker

        hosting = self._hosting()
        if hosting is None:
            raise RefusalError(503, "The event broker is being loaded. Ask again in a second.", {"Retry-After": "1"})
        written = {key: str(value) for key, value in query.items()}
        asked = BrokerRequest(method, path, written, [(b"host", b"localhost")], b"")
        try:
            async with asyncio.timeout(_PATIENCE + _WAIT):
                answer = await hosting.ask(asked)
        except TimeoutError:
            raise RefusalError(503, "The event broker does not answer.", hint="stores logs gateway") from None
        return json.loads(answer.body)


def _path(request: Request) -> str:
    """Of the broker's own API, where what is beside the events is not below them."""
    below = request.path.partition("/events")[2]
    if below == "/health":
        return "/healthz"
    return f"/v1{below or '/events'}"


def _count(name: str) -> Schema:
    return schema.members_of({name: schema.whole()})
