"""`stores events dead|retry|pause|resume|seek|replay|drain`: what can be done about deliveries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import quote

import typer

from procman.cli import events_show, moment
from procman.cli.arguments import Json
from procman.cli.help import option
from procman.cli.place import here
from procman.clients.events import EventClient
from procman.errors import StoresError


def subscribers(incomplete: str) -> list[str]:
    """The services that subscribe, for the shell's completion. Never an error, only fewer."""
    try:
        services = here().workspace().services
    except (StoresError, OSError):
        return []
    return [one.name for one in services if one.subscription and one.name.startswith(incomplete)]


Subscription = Annotated[
    str, typer.Argument(metavar="NAME", help="A service that subscribes.", autocompletion=subscribers)
]
Place = Annotated[
    str, typer.Argument(metavar="PLACE", help="A number, a time, a span back from now (10m), first or last.")
]


def dead(
    which: Annotated[
        str, typer.Argument(metavar="[NUMBER|NAME]", help="One, or all of a service.", autocompletion=subscribers)
    ] = "",
    drop: Annotated[bool, option("--drop", help="Forget them.")] = False,
    as_json: Json = False,
) -> None:
    """Show what could not be delivered, and why.

    For example:
      stores events dead
      stores events dead reserve
      stores events dead 3
      stores events dead 3 --drop
      stores events dead reserve --drop
    """
    broker = EventClient(here().paths)
    chosen = {"number" if which.isdecimal() else "subscription": which}
    if drop:
        if not which:
            raise StoresError("Which dead letters?", "stores events dead NUMBER|NAME --drop", exit_code=2)
        told = broker.ask("POST", "/v1/deadletters/drop", chosen)
        events_show.done(told, f"{told['dropped']} forgotten", as_json=as_json)
    elif which.isdecimal():
        (letter,) = broker.ask("GET", "/v1/deadletters", chosen)["deadletters"]
        events_show.letter(letter, as_json=as_json)
    else:
        events_show.letters(_all(broker, which), as_json=as_json)


def _all(broker: EventClient, name: str) -> list[Any]:
    letters: list[Any] = []
    query = {"subscription": name, "limit": 1000}
    while page := broker.ask("GET", "/v1/deadletters", query)["deadletters"]:
        letters += page
        query["after"] = page[-1]["number"]
    return letters


def retry(
    numbers: Annotated[list[int] | None, typer.Argument(metavar="[NUMBER]...", help="Dead letters.")] = None,
    of: Annotated[str, option("--all", metavar="NAME", help="All of a service.", autocompletion=subscribers)] = "",
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
    told = EventClient(here().paths).ask("POST", "/v1/deadletters/retry", query)
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
    to: Place,
    as_json: Json = False,
) -> None:
    """Go on after another place: back or forward.

    For example:
      stores events seek reserve first
      stores events seek reserve last
      stores events seek reserve 10m
      stores events seek reserve 2026-11-23T09:00
    """
    _steer(name, "seek", {"to": _place(to)}, as_json=as_json)


def replay(
    name: Subscription,
    start: Annotated[str, option("--from", metavar="PLACE", help="After this number, time, or span back.")] = "first",
    to: Annotated[str, option(metavar="PLACE", help="Up to this one.")] = "last",
    as_json: Json = False,
) -> None:
    """Deliver a part of the log once more, beside what is new.

    For example:
      stores events replay reserve --from 40 --to 45
      stores events replay reserve --from 10m
      stores events replay reserve --from 2026-11-23T09:00
    """
    _steer(name, "replay", {"from": _place(start), "to": _place(to)}, as_json=as_json)


def drain(
    name: Subscription,
    timeout: Annotated[float, option(min=0, max=3600, metavar="SECONDS", help="How long to wait.")] = 30.0,
    as_json: Json = False,
) -> None:
    """Wait until nothing waits for a service any more. Exit code 1 if something still does.

    For example:
      stores events drain reserve --timeout 60
    """
    _steer(name, "drain", {"wait": timeout}, as_json=as_json, patience=timeout + 10)


def _place(text: str) -> str:
    """As the broker takes it: a time in this machine's zone, or a span back from now, becomes one in UTC."""
    if text in {"first", "last"} or text.isdecimal():
        return text
    try:
        at = moment.epoch(text)
    except ValueError:
        return text  # it says what it takes
    from datetime import UTC, datetime  # noqa: PLC0415 (only for a time)

    return datetime.fromtimestamp(at, UTC).isoformat()


def _steer(name: str, verb: str, query: dict[str, Any], *, as_json: bool, patience: float = 30.0) -> None:
    told = EventClient(here().paths).ask(
        "POST", f"/v1/subscriptions/{quote(name, safe='')}/{verb}", query, patience=patience
    )
    replayed = f"{told['replayed']} replayed, " if "replayed" in told else ""
    events_show.done(told, f"{name}: {replayed}{told['state']}, {told['waiting']} waiting", as_json=as_json)


VERBS: tuple[Callable[..., None], ...] = (dead, retry, pause, resume, seek, replay, drain)
