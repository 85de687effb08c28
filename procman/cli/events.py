"""`stores events …`: what the services tell one another, seen and steered."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from procman.cli import events_show, render
from procman.cli.arguments import Json
from procman.cli.help import Verbs, option, shown
from procman.cli.place import here, names
from procman.errors import StoresError
from procman.event_client import EventClient

_HELP = """See and steer the events that services send to one another.

\b
  stores events tail -f                     watch them
  stores events show                        who is behind, and why
  stores events send com.example.test -d '{"n": 1}'
"""

Subscription = Annotated[str, typer.Argument(metavar="NAME", help="A service that subscribes.", autocompletion=names)]
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


def send(
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="What happened: com.example.order.placed")],
    data: Annotated[str, option("--data", "-d", metavar="JSON", help="The data: JSON, @FILE, or - for stdin.")] = "",
    source: Annotated[str, option(metavar="URI", help="Who says so.")] = "/stores/cli",
    subject: Annotated[str, option(metavar="TEXT", help="What it is about; events of one subject keep order.")] = "",
    event_id: Annotated[str, option("--id", metavar="ID", help="The same again is not delivered twice.")] = "",
    attributes: Annotated[
        list[str] | None, option("--attribute", "-a", metavar="NAME=VALUE", help="Any other attribute.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Send an event, as a service would.

    For example:
      stores events send com.example.order.placed -d '{"order": 7}'
      stores events send com.example.test --subject 7 -a partitionkey=tokyo
      cat order.json | stores events send com.example.order.placed -d -
    """
    event: dict[str, Any] = {"specversion": "1.0", "id": event_id or str(uuid.uuid4()), "source": source, "type": type_}
    if subject:
        event["subject"] = subject
    for attribute in attributes or []:
        name, separator, value = attribute.partition("=")
        if not separator:
            raise StoresError(f'"{attribute}" is not NAME=VALUE', "For example: -a partitionkey=tokyo", exit_code=2)
        event[name] = value
    if data:
        event["data"] = _data(data)
    told = _client().ask(
        "POST", "/v1/events", body=json.dumps(event).encode(), headers={"Content-Type": "application/cloudevents+json"}
    )
    if as_json:
        render.result({**told, "id": event["id"]}, as_json=True)
    else:
        known = " (it was known already, and is not delivered again)" if told["duplicates"] else ""
        typer.echo(f"{told['seq']} {event['id']}{known}")


def _data(text: str) -> Any:
    try:
        if text == "-":
            text = sys.stdin.read()
        elif text.startswith("@"):
            text = Path(text[1:]).read_text("utf-8")
        return json.loads(text)
    except OSError as error:
        raise StoresError(f"{text[1:]}: {error.strerror}", "Name a file: -d @order.json", exit_code=2) from error
    except ValueError as error:
        raise StoresError(
            f"The data is not JSON: {error}", "A text needs its quotes: -d '\"text\"'", exit_code=2
        ) from error


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


def dead(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Of one service.", autocompletion=names)] = "",
    drop: Annotated[bool, option("--drop", help="Forget them.")] = False,
    as_json: Json = False,
) -> None:
    """Show what could not be delivered, and why.

    For example:
      stores events dead
      stores events dead reserve
      stores events dead reserve --drop
    """
    broker = _client()
    if drop:
        if not name:
            raise StoresError("Whose dead letters?", "stores events dead NAME --drop", exit_code=2)
        told = broker.ask("POST", "/v1/deadletters/drop", {"subscription": name})
        events_show.done(told, f"{told['dropped']} forgotten", as_json=as_json)
        return
    letters = broker.ask("GET", "/v1/deadletters", {"subscription": name, "limit": 1000})["deadletters"]
    events_show.letters(letters, as_json=as_json)


def retry(
    numbers: Annotated[list[int] | None, typer.Argument(metavar="[NUMBER]...", help="Dead letters.")] = None,
    of: Annotated[str, option("--all", metavar="NAME", help="All of a service.")] = "",
    as_json: Json = False,
) -> None:
    """Deliver dead letters again, with all their attempts.

    For example:
      stores events retry 3 4
      stores events retry --all reserve
    """
    if bool(numbers) == bool(of):
        raise StoresError("Which ones?", "stores events retry 3 4, or stores events retry --all NAME", exit_code=2)
    query = {"number": ",".join(map(str, numbers or [])), "subscription": of}
    told = _client().ask("POST", "/v1/deadletters/retry", query)
    events_show.done(told, f"{told['retried']} on the way", as_json=as_json)


def pause(name: Subscription, as_json: Json = False) -> None:
    """Let a service's events wait until it is resumed.

    For example:
      stores events pause reserve
    """
    _steer(name, "pause", {}, as_json=as_json)


def resume(name: Subscription, as_json: Json = False) -> None:
    """Deliver again after a pause, or after a 410.

    For example:
      stores events resume reserve
    """
    _steer(name, "resume", {}, as_json=as_json)


def seek(
    name: Subscription,
    to: Annotated[str, typer.Argument(metavar="PLACE", help="A number, a time, first or last.")],
    as_json: Json = False,
) -> None:
    """Go on after another place: back or forward.

    For example:
      stores events seek reserve first
      stores events seek reserve last
      stores events seek reserve 2026-11-23T09:00:00Z
    """
    _steer(name, "seek", {"to": to}, as_json=as_json)


def replay(
    name: Subscription,
    start: Annotated[str, option("--from", metavar="PLACE", help="After this number or time.")] = "first",
    to: Annotated[str, option(metavar="PLACE", help="Up to this number or time.")] = "last",
    as_json: Json = False,
) -> None:
    """Deliver a part of the log once more, beside what is new.

    For example:
      stores events replay reserve --from 40 --to 45
      stores events replay reserve --from 2026-11-23T09:00:00Z
    """
    _steer(name, "replay", {"from": start, "to": to}, as_json=as_json)


def drain(
    name: Subscription,
    timeout: Annotated[float, option(min=0, metavar="SECONDS", help="How long to wait.")] = 30.0,
    as_json: Json = False,
) -> None:
    """Wait until nothing waits for a service any more. Exit code 1 if something still does.

    For example:
      stores events drain reserve --timeout 60
    """
    _steer(name, "drain", {"wait": timeout}, as_json=as_json, patience=timeout + 10)


def _steer(name: str, verb: str, query: dict[str, Any], *, as_json: bool, patience: float = 30.0) -> None:
    told = _client().ask("POST", f"/v1/subscriptions/{name}/{verb}", query, patience=patience)
    replayed = f"{told['replayed']} replayed, " if "replayed" in told else ""
    events_show.done(told, f"{name}: {replayed}{told['state']}, {told['waiting']} waiting", as_json=as_json)


app = typer.Typer(
    name="events",
    cls=Verbs,
    help=_HELP,
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_VERBS: tuple[Callable[..., None], ...] = (tail, send, show, dead, retry, pause, resume, seek, replay, drain)
for _verb in _VERBS:
    app.command(name=_verb.__name__, help=shown(_verb))(_verb)
