"""`stores events dead|retry|pause|resume|seek|replay|drain`: what can be done about deliveries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import quote

import typer

from procman.cli import events_show
from procman.cli.arguments import Json
from procman.cli.help import option
from procman.cli.place import here, names
from procman.errors import StoresError
from procman.event_client import EventClient

Subscription = Annotated[str, typer.Argument(metavar="NAME", help="A service that subscribes.", autocompletion=names)]


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
    broker = EventClient(here().paths)
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
    told = EventClient(here().paths).ask(
        "POST", f"/v1/subscriptions/{quote(name, safe='')}/{verb}", query, patience=patience
    )
    replayed = f"{told['replayed']} replayed, " if "replayed" in told else ""
    events_show.done(told, f"{name}: {replayed}{told['state']}, {told['waiting']} waiting", as_json=as_json)


VERBS: tuple[Callable[..., None], ...] = (dead, retry, pause, resume, seek, replay, drain)
