"""Verbs about the workspace's files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from procman import procfile
from procman.cli.arguments import Json
from procman.cli.place import here
from procman.errors import StoresError
from procman.mistake import MistakesError, refuse
from procman.paths import Paths
from procman.workspace import FOLDER, read


def check(as_json: Json = False) -> None:
    """Say what is wrong in the workspace's files.

    And how to mend it. Exit code 2 when there is a mistake. Starts nothing.

    For example:
      stores check
      stores check --json
    """
    place = here()
    reading = read(place.root, place.environ)
    if as_json:
        keys = ("file", "line", "column", "text", "problem", "mend")
        mistakes = [{key: getattr(mistake, key) for key in keys} for mistake in reading.mistakes]
        typer.echo(json.dumps({"workspace": str(place.root), "mistakes": mistakes}, indent=2))
    elif not reading.mistakes:
        names = ", ".join(service.name for service in reading.workspace.services)
        typer.echo(f"{place.root}: nothing wrong. Services: {names or 'none yet (stores add NAME)'}")
    else:
        raise refuse(reading.mistakes)
    if reading.mistakes:
        raise typer.Exit(2)


def add(
    name: Annotated[str, typer.Argument(help="The service's name: also its host.")],
    command: Annotated[str, typer.Option("--command", "-c", help="What starts it.")] = procfile.DEFAULT_COMMAND,
    directory: Annotated[
        str, typer.Option("--dir", help="Its folder, from the workspace. Default: NAME beside the others.")
    ] = "",
    repo: Annotated[str, typer.Option(help="Where its repository is cloned from.")] = "",
    port: Annotated[int, typer.Option(help="A fixed port. Default: one is assigned and kept.")] = 0,
    description: Annotated[str, typer.Option(help="One line for people.")] = "",
) -> None:
    """Register a service: write its one file.

    A system that runs knows it at once.

    For example:
      stores add coupon
      stores add coupon --dir ../coupon --command 'bin/rails server' --host coupon --host '*.coupon'
      stores add till --process 'web: make dev' --process 'printer: bin/printer' --no-remote
    """
    place = here()
    file = place.root / FOLDER / name
    if file.exists():
        raise StoresError(f"{name} is registered already", f"Edit its file: {file}")
    facts = {"description": description, "repo": repo, "dir": directory, "port": port}
    lines = [f"# {key} = {json.dumps(value, ensure_ascii=False)}" for key, value in facts.items() if value]
    block = "\n".join(["# /// stores", *lines, "# ///", ""]) if lines else ""
    text = f"{block}web: {command}\n"
    try:
        service = procfile.parse(text, file, root=place.root, repos=place.root, remote_domain="")
    except MistakesError as error:
        raise refuse(error.mistakes) from error
    file.write_text(text, encoding="utf-8")
    mistakes = read(place.root, place.environ).mistakes
    if mistakes:
        file.unlink()
        raise refuse(mistakes)
    typer.echo(f"{file} registers {service.name}. Start it: stores run {service.name}")


def use(folder: Annotated[Path, typer.Argument(help="The folder that has Procfile.d/.")]) -> None:
    """Make a workspace known in every folder.

    Each command then works from any repository.

    For example:
      stores use ~/src/workspace
    """
    import os  # noqa: PLC0415 (only here)

    root = folder.expanduser().resolve()
    if not (root / FOLDER).is_dir():
        raise StoresError(f"There is no {FOLDER}/ in {root}", f"Make one: mkdir -p {root / FOLDER}", exit_code=2)
    registered = Paths.of(root, os.environ).config / "workspace"
    registered.parent.mkdir(parents=True, exist_ok=True)
    registered.write_text(f"{root}\n", encoding="utf-8")
    typer.echo(f"{root} is the workspace for every folder outside another one.")
