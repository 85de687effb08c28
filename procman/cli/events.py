"""`stores events …`: what the services tell one another, seen and steered."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from procman.cli import events_show, events_steer
from procman.cli.arguments import Json
from procman.cli.events_send import send
from procman.cli.help import group, option
from procman.cli.place import here
from procman.errors import StoresError
from procman.event_client import EventClient

_HELP = """See and steer the events that services send to one another.

\b
  stores events tail -f                     watch them
  stores events show                        who is behind, and why
  stores events send com.example.test -d '{"n": 1}'
"""

Types = Annotated[str, option("--type", "-t", metavar="TYPE", help="Only such types: com.example.order.*,com.b.**")]


def _client() -> EventClient:
    return EventClient(here().paths)


def tail(
    follow: Annotated[bool, option("--follow", "-f", help="Go on showing new ones.")] = False,
    lines: Annotated[int, option("--lines", "-n", min=0, metavar="N", help="How many of the last ones.")] = 20,
    types: Types = "",
    as_json: Json = False,
) -> None:
    """Show the last events, one a line.

    For example:
      stores events tail
      stores events tail -f --type 'com.example.order.*'
      stores events tail -n 100 --json | jq .event.data
    """
    broker = _client()
    # the last N of a type may lie behind many others, so they are looked for from far back
    place, last = -10_000 if types else -lines, 1
    found: list[Any] = []
    while place < last:
        page = broker.ask("GET", "/v1/events", {"after": place, "type": types, "limit": 1000})
        place, last = page["after"], page["last"]
        found = (found + page["events"])[-lines:] if lines else []
    for one in found:
        events_show.line(one["seq"], one["event"], as_json=as_json)
    if follow:
        for seq, event in broker.follow({"after": place, "type": types}):
            events_show.line(seq, event, as_json=as_json)


def show(
    seq: Annotated[int | None, typer.Argument(metavar="[SEQ]", help="An event, by its number.")] = None,
    as_json: Json = False,
) -> None:
    """Show how each subscription stands, or one event whole.

    For example:
      stores events show
      stores events show 17
    """
    broker = _client()
    if seq is None:
        health = broker.ask("GET", "/healthz")
        subscriptions = broker.ask("GET", "/v1/subscriptions")["subscriptions"]
        events_show.standing(health, subscriptions, as_json=as_json)
        return
    page = broker.ask("GET", "/v1/events", {"after": max(0, seq - 1), "limit": 1})
    if not page["events"] or page["events"][0]["seq"] != seq:
        raise StoresError(f"There is no event {seq}", "See the last ones: stores events tail", exit_code=4)
    sys.stdout.write(json.dumps(page["events"][0], indent=2, ensure_ascii=False) + "\n")


app = group("events", _HELP, tail, send, show, *events_steer.VERBS)
