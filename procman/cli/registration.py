"""Verbs about the workspace's files."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from procman import procfile
from procman.cli.arguments import Json
from procman.cli.help import option
from procman.cli.place import here
from procman.environment import env_file
from procman.errors import StoresError
from procman.mistake import MistakesError, refuse
from procman.paths import Paths
from procman.service import SERVICE_NAME
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
    mistakes = [*reading.mistakes, *env_file.mistakes(reading.workspace.services, place.environ)]
    if as_json:
        keys = ("file", "line", "column", "text", "problem", "mend")
        told = [{key: getattr(mistake, key) for key in keys} for mistake in mistakes]
        typer.echo(json.dumps({"workspace": str(place.root), "mistakes": told}, indent=2))
    elif not mistakes:
        names = ", ".join(service.name for service in reading.workspace.services)
        typer.echo(f"{place.root}: nothing wrong. Services: {names or 'none yet (stores add NAME)'}")
    else:
        raise refuse(mistakes)
    if mistakes:
        raise typer.Exit(2)


def add(
    name: Annotated[str, typer.Argument(help="The service's name: also its host.")],
    command: Annotated[str, option("--command", "-c", metavar="COMMAND", help="What starts it: its `web`.")] = "",
    process: Annotated[
        list[str] | None, option(metavar="'NAME: COMMAND'", help="A process, instead of --command. Repeatable.")
    ] = None,
    directory: Annotated[str, option("--dir", metavar="DIR", help="Its folder, from the workspace.")] = "",
    repo: Annotated[str, option(metavar="URL", help="Where its repository is cloned from.")] = "",
    description: Annotated[str, option(metavar="TEXT", help="One line for people.")] = "",
    host: Annotated[list[str] | None, option(metavar="HOST", help="A host below the domain. Repeatable.")] = None,
    port: Annotated[int | None, option(metavar="PORT", help="A fixed port. Default: assigned, and kept.")] = None,
    remote: Annotated[str, option(metavar="ORIGIN", help="Who answers while it does not run here.")] = "",
    no_remote: Annotated[bool, option("--no-remote", help="Nobody answers while it does not run here.")] = False,
    ready: Annotated[str, option(metavar="PATH", help="It is ready when this path answers 2xx or 3xx.")] = "",
    ready_log: Annotated[str, option(metavar="REGEX", help="Or when a line of its output matches.")] = "",
    ready_timeout: Annotated[
        float | None, option(metavar="SECONDS", help="How long that may take. Default: 60.")
    ] = None,
    needs: Annotated[list[str] | None, option(metavar="NAME", help="What must run here first. Repeatable.")] = None,
    restart: Annotated[str, option(metavar="WHEN", help="always, on-failure or never.")] = "",
    grace: Annotated[
        float | None, option(metavar="SECONDS", help="From the stop signal to SIGKILL. Default: 5.")
    ] = None,
    stop_signal: Annotated[str, option(metavar="SIGNAL", help="Instead of SIGTERM.")] = "",
    route: Annotated[str, option(metavar="/PREFIX", help="Where it stands behind the API gateway.")] = "",
    strip_prefix: Annotated[bool, option("--strip-prefix", help="It does not see that prefix.")] = False,
    auth: Annotated[str, option(metavar="WHO", help="Who may call it there: required, optional or none.")] = "",
    scope: Annotated[list[str] | None, option(metavar="SCOPE", help="What a caller must have. Repeatable.")] = None,
    env: Annotated[list[str] | None, option(metavar="NAME=VALUE", help="A variable. Repeatable.")] = None,
    env_file: Annotated[list[str] | None, option(metavar="FILE", help="Instead of .env. Repeatable.")] = None,
    setup: Annotated[str, option(metavar="COMMAND", help="Instead of `make setup`.")] = "",
    others: Annotated[
        list[str] | None, option("--set", metavar="'KEY = VALUE'", help="Any other key, as TOML. Repeatable.")
    ] = None,
) -> None:
    """Register a service: write its one file.

    A system that runs knows it at once.

    For example:
      stores add coupon
      stores add coupon --dir ../coupon --command 'bin/rails server' --host coupon --host '*.coupon'
      stores add till --process 'web: make dev' --process 'printer: bin/printer' --no-remote
      stores add report --set 'start = "on-request"' --set 'idle = "15m"'
    """
    if remote and no_remote:
        raise StoresError("--remote and --no-remote exclude each other", "Take one of them.", exit_code=2)
    if command and process:
        raise StoresError("--command and --process exclude each other", "Take one of them.", exit_code=2)
    facts = {
        "description": description,
        "repo": repo,
        "dir": directory,
        "hosts": host,
        "port": port,
        "remote": False if no_remote else remote or None,
        "ready": ready or ({"log": ready_log} if ready_log else None),
        "ready_timeout": ready_timeout,
        "needs": needs,
        "restart": restart,
        "grace": grace,
        "stop_signal": stop_signal,
        "route": route,
        "strip_prefix": strip_prefix,
        "auth": auth,
        "scopes": scope,
        "env": dict(map(_pair, env or [])),
        "env_file": env_file,
        "setup": setup,
    }
    given = {key: value for key, value in facts.items() if value or (value is False and key == "remote")}
    for text in others or []:
        given |= _pairs(text)
    _register(name, given, process or [f"web: {command or procfile.DEFAULT_COMMAND}"])


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise StoresError(f"--env {text}: no variable", "Write it as: --env NAME=VALUE", exit_code=2)
    return name, value


def _pairs(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StoresError(f"--set {text}: {error}", "Write it as TOML: --set 'idle = \"15m\"'", exit_code=2) from error


def _register(name: str, facts: Mapping[str, Any], processes: Sequence[str]) -> None:
    """Writes the file, if it is right by itself and beside the others; else nothing is left of it."""
    place = here()
    if not SERVICE_NAME.fullmatch(name):
        raise StoresError(
            f'"{name}" cannot be a host name', f"For example: stores add {procfile.usable(name)}", exit_code=2
        )
    file = place.root / FOLDER / name
    if file.exists():
        raise StoresError(f"{name} is registered already", f"Edit its file: {file}")
    lines = [f"# {key} = {_toml(value)}" for key, value in facts.items()]
    block = "\n".join(["# /// stores", *lines, "# ///", ""]) if lines else ""
    text = block + "".join(f"{process}\n" for process in processes)
    try:
        service = procfile.parse(text, file, root=place.root, repos=place.root, remote_domain="")
    except MistakesError as error:
        raise refuse(error.mistakes) from error
    before = read(place.root, place.environ).mistakes  # what is wrong already is not this file's fault
    file.write_text(text, encoding="utf-8")
    mistakes = [one for one in read(place.root, place.environ).mistakes if one not in before]
    if mistakes:
        file.unlink()
        raise refuse(mistakes)
    typer.echo(f"{file} registers {service.name}. Start it: stores run {service.name}")


def _toml(value: Any) -> str:
    """A value as TOML has it on one line. Its basic strings are JSON's, but for DEL, which none of these holds."""
    if isinstance(value, dict):
        pairs = (f"{_toml_key(key)} = {_toml(inner)}" for key, inner in value.items())
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


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
