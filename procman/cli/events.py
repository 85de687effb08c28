"""`stores events …`: what the services tell one another, seen and steered."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from procman.cli import events_show, events_steer
from procman.cli.arguments import Json
from procman.cli.events_send import send
from procman.cli.help import group, option
from procman.cli.place import here
from procman.clients.events import EventClient
from procman.errors import StoresError

_HELP = """See and steer the events that services send to one another.

\b
  stores events tail -f                     watch them
  stores events show                        who is behind, and why
  stores events send com.example.test -d '{"n": 1}'
"""

#: Events behind which the last ones of a kind are looked for at first.
_NEAR = 1000

Types = Annotated[str, option("--type", "-t", metavar="TYPE", help="Only such types: com.example.order.*,com.b.**")]


def _client() -> EventClient:
    return EventClient(here().paths)


def tail(
    follow: Annotated[bool, option("--follow", "-f", help="Go on showing new ones.")] = False,
    lines: Annotated[int, option("--lines", "-n", min=0, metavar="N", help="How many of the last ones.")] = 20,
    types: Types = "",
    source: Annotated[str, option("--source", "-s", metavar="URI", help="Only of this source.")] = "",
    subject: Annotated[str, option(metavar="TEXT", help="Only about this subject.")] = "",
    as_json: Json = False,
) -> None:
    """Show the last events, one a line.

    For example:
      stores events tail
      stores events tail -f --type 'com.example.order.*' --subject 7
      stores events tail -n 100 --json | jq .event.data
    """
    broker = _client()
    wanted = {name: text for name, text in (("type", types), ("source", source), ("subject", subject)) if text}
    found, place = _last(broker, lines, wanted)
    for one in found:
        events_show.line(one, as_json=as_json)
    if follow:
        for one in broker.follow(place, wanted, _away):
            events_show.line(one, as_json=as_json)


def _last(broker: EventClient, count: int, wanted: dict[str, Any]) -> tuple[list[Any], int]:
    """The last ones of a kind, and the place behind them. They may lie behind many others: so ever farther back."""
    last = broker.ask("GET", "/v1/events", {"after": -1, "limit": 1})["last"]
    found: list[Any] = []
    back = max(count, _NEAR) if wanted else count
    while count:
        place, found = max(0, last - back), []
        while place < last:
            page = broker.ask("GET", "/v1/events", {**wanted, "after": place, "limit": 1000})
            place = page["after"]
            found = (found + page["events"])[-count:]
        if len(found) == count or back >= last:
            return found, place
        back *= 10
    return found, last


def _away(why: str) -> None:
    sys.stderr.write(f"{why}. It is waited for.\n")


def show(
    event: Annotated[str, typer.Argument(metavar="[EVENT]", help="An event, by its number or its id.")] = "",
    as_json: Json = False,
) -> None:
    """Show how each subscription stands, or one event whole.

    For example:
      stores events show
      stores events show 17
      stores events show 91fcf930-04bb-4049-a159-212858b4f4e8
    """
    broker = _client()
    if event:
        events_show.whole(_one(broker, event))
        return
    health = broker.ask("GET", "/healthz")
    subscriptions = broker.ask("GET", "/v1/subscriptions")["subscriptions"]
    events_show.standing(health, subscriptions, as_json=as_json)


def _one(broker: EventClient, text: str) -> Any:
    """The event of that number, else the newest one with that id."""
    if text.isdecimal():
        page = broker.ask("GET", "/v1/events", {"after": max(0, int(text) - 1), "limit": 1})
        if page["events"] and page["events"][0]["seq"] == int(text):
            return page["events"][0]
    found, _ = _last(broker, 1, {"id": text})
    if not found:
        raise StoresError(f"There is no event {text}", "See the last ones: stores events tail", exit_code=4)
    return found[0]


app = group("events", _HELP, tail, send, show, *events_steer.VERBS)
