"""`stores as NAME` and `stores auth simulate`: who calls the local API gateway from now on, and with what trouble."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from procman import span
from procman.authorizer_choice import Choice, Play, Simulation, example_of, exclusively
from procman.cli import render
from procman.cli.arguments import Json
from procman.cli.help import option
from procman.cli.identities import complete, find
from procman.cli.place import Place, here, names
from procman.errors import StoresError
from procman.identity import NOBODY
from procman.settings import Settings

#: Seconds. An outage that is played for longer is one that nobody remembers.
_LONGEST = 24 * 3600.0


def as_(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="An identity of stores.toml: [identity.alice].", autocompletion=complete),
    ] = None,
    nobody: Annotated[bool, option("--nobody", help="Forget who was chosen.")] = False,
    as_json: Json = False,
) -> None:
    """Choose who calls the API gateway, or say who does.

    For requests that do not say it themselves: by Stores-As, the cookie stores_as or a token. Nothing needs to run for
    it; a gateway that runs goes by it from its next request on.

    For example:
      stores as alice
      stores as
      stores as --nobody
    """
    place = here()
    settings = place.workspace().settings
    if name and nobody:
        raise StoresError("A NAME and --nobody exclude each other", "Take one of them.", exit_code=2)
    if name and name != NOBODY:
        find(settings, name)
    with _chosen(place, forget=nobody or bool(name)) as kept:
        if name or nobody:
            kept.append(dataclasses.replace(kept[-1], identity=name or ""))
    _tell_who(settings, kept[-1], as_json=as_json)


def simulate(
    plays: Annotated[list[str] | None, typer.Argument(metavar="[TROUBLE]...", help="See above.")] = None,
    length: Annotated[str, option("--for", metavar="SPAN", help="How long: 30s, 15m, 2h.")] = "60s",
    service: Annotated[
        list[str] | None,
        option("--service", "-s", metavar="NAME", help="For its route only. Repeatable.", autocompletion=names),
    ] = None,
    off: Annotated[bool, option("--off", help="End all that is played.")] = False,
    as_json: Json = False,
) -> None:
    """Let the authorizer of the API gateway play trouble.

    TROUBLE: unauthenticated (401), deny (403), error (500), unavailable (503), delay=2s, missing-scope=org:read;
    expired, wrong-audience and bad-signature give the service a token that it must refuse. One request alone asks for
    it by the header Stores-Simulate. Without TROUBLE: says what is played.

    For example:
      stores auth simulate deny --for 60s
      stores auth simulate delay=2s unavailable --service organization
      stores auth simulate --off
    """
    place = here()
    workspace = place.workspace()
    if plays and off:
        raise StoresError("TROUBLE and --off exclude each other", "Take one of them.", exit_code=2)
    for one in service or []:
        if workspace.service(one).api is None:
            hint = f'Give it one, in Procfile.d/{one}: route = "/{one}"'
            raise StoresError(f"{one} has no route behind the API gateway", hint, exit_code=2)
    now = time.time()
    wanted = [Simulation(_plays(plays), now, now + _length(length), tuple(service or []))] if plays else []
    with _chosen(place, forget=off) as kept:
        running = [] if off else [known for known in kept[-1].simulations if known.runs(now)]
        running += wanted
        if plays or off:
            kept.append(dataclasses.replace(kept[-1], simulations=tuple(running)))
    _tell_what(running, now, as_json=as_json)


def _plays(texts: list[str]) -> tuple[str, ...]:
    return tuple(str(_play(text)) for text in texts)


def _play(text: str) -> Play:
    try:
        return Play.parse(text)
    except ValueError as error:
        hint = f"For example: stores auth simulate {example_of(text)} --for 60s"
        raise StoresError(str(error), hint, exit_code=2) from error


def _length(text: str) -> float:
    try:
        seconds = span.seconds(text)
    except ValueError as error:
        raise StoresError(str(error), "For example: --for 60s", exit_code=2) from error
    if seconds > _LONGEST:
        raise StoresError(f"--for {text}: a day is the most", "For example: --for 15m", exit_code=2)
    return seconds


@contextlib.contextmanager
def _chosen(place: Place, *, forget: bool) -> Iterator[list[Choice]]:
    """What was chosen before; what is appended is kept. A damaged file is no obstacle to choosing anew (`forget`)."""
    place.paths.make()
    file = place.paths.authorizer
    try:
        with exclusively(file):
            kept = [_load(file, forget=forget)]
            yield kept
            if len(kept) > 1:
                kept[-1].save(file)
    except OSError as error:
        raise StoresError(f"Cannot keep {file}: {error.strerror}", "Make room for it, and make it yours.") from error


def _load(file: Path, *, forget: bool) -> Choice:
    try:
        return Choice.load(file)
    except ValueError as error:
        if forget:
            return Choice()
        raise StoresError(str(error), "Choose anew: stores as --nobody") from error


def _tell_who(settings: Settings, choice: Choice, *, as_json: bool) -> None:
    name = choice.identity or settings.authorizer.default or NOBODY
    by = "stores as" if choice.identity else "default" if settings.authorizer.default else ""
    identity = settings.identities.get(name)
    if as_json:
        known = identity.to_json() if identity else None
        render.result(
            {"name": name, "by": by or None, "identity": known, "mode": settings.authorizer.mode}, as_json=True
        )
        return
    said = f" ({by})" if by else ""
    if identity is not None:
        scopes = f", scopes {' '.join(identity.scopes)}" if identity.scopes else ", no scopes"
        sys.stdout.write(f"{name}{said}: sub {identity.sub}{scopes}\n")
    elif name == NOBODY:
        sys.stdout.write(f"{NOBODY}{said}: requests say themselves who calls. Choose somebody: stores as NAME\n")
    else:
        sys.stdout.write(f"{name}{said}, who is in stores.toml no more. Forget it: stores as --nobody\n")
    if settings.authorizer.mode not in {"dummy", "mixed"}:
        sys.stderr.write(f'[authorizer] mode = "{settings.authorizer.mode}" asks nobody for it.\n')


def _tell_what(running: list[Simulation], now: float, *, as_json: bool) -> None:
    if as_json:
        told: list[dict[str, Any]] = [
            {"plays": one.plays, "services": one.services, "seconds_left": round(one.until - now, 1)} for one in running
        ]
        render.result({"simulations": told}, as_json=True)
        return
    for one in running:
        where = ", ".join(one.services) or "all routes"
        sys.stdout.write(f"{', '.join(one.plays)} at {where} for {one.until - now:.0f} s\n")
    if not running:
        sys.stdout.write("Nothing is played.\n")
