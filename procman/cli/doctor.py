"""The verb that looks at the whole way of a request."""

from __future__ import annotations

import json

import typer

from procman.cli.arguments import Json
from procman.cli.place import Place, here
from procman.clients import supervisor
from procman.doctor.finding import SETUP, Finding, Health
from procman.doctor.scene import Scene
from procman.errors import StoresError
from procman.snapshot import Snapshot
from procman.workspace import read

_MARKS = {Health.OK: "ok    ", Health.NOTE: "note  ", Health.BROKEN: "BROKEN"}


def doctor(as_json: Json = False) -> None:
    """Test the whole way of a request.

    Name, address, port, certificate, gateway, supervisor, services, remote: as this machine sees them, in this order.
    The first link that is broken is named, with what mends it. Exit code 1 then. What was never set up by
    `stores setup --system` is said, and is not broken. Changes nothing, starts nothing.

    For example:
      stores doctor
      stores doctor --json
    """
    from procman.doctor.way import examine  # noqa: PLC0415 (what it asks with would cost every other verb its start)

    place = here()
    scene = _scene(place)
    findings: list[Finding] = []
    for finding in examine(scene):
        findings.append(finding)
        if not as_json:
            _show(finding)
    first = next((finding for finding in findings if finding.health is Health.BROKEN), None)
    if as_json:
        keys = ("link", "health", "said", "mend")
        told = [{key: str(getattr(finding, key)) for key in keys} for finding in findings]
        typer.echo(
            json.dumps({"workspace": str(place.root), "broken": first and first.link, "findings": told}, indent=2)
        )
    elif first is None:
        typer.echo(_well(scene, findings))
    else:
        typer.echo(f"\nThe first broken link: {first.link}. {first.said}\n  {first.mend}")
    if first:
        raise typer.Exit(1)


def _well(scene: Scene, findings: list[Finding]) -> str:
    """Nothing is broken; and what works as it is, where the rest was never set up."""
    if not any(finding.unset for finding in findings):
        return "Every link holds."
    return f"Nothing is broken. {scene.plain_url} works as it is; https://NAME.{scene.domain}/ everywhere: {SETUP}"


def _show(finding: Finding) -> None:
    typer.echo(f"{_MARKS[finding.health]} {finding.link}: {finding.said}")
    if finding.mend:
        typer.echo(f"         {finding.mend}")


def _scene(place: Place) -> Scene:
    """With what the supervisor tells, or why it tells nothing."""
    reading = read(place.root, place.environ)
    snapshot: Snapshot | None = None
    why = ""
    try:
        snapshot = Snapshot.from_json(supervisor.answer(place.paths, "status"))
    except StoresError as error:
        pid = supervisor.holder(place.paths)
        why = f"the supervisor (PID {pid}) does not answer: {error.message}" if pid else "nothing runs"
    except (KeyError, TypeError, ValueError) as error:
        why = f"the supervisor speaks another version's language ({error!r}): restart it"
    mistakes = tuple(map(str, reading.mistakes))
    return Scene(reading.workspace, place.paths, place.environ, snapshot, why, mistakes)
