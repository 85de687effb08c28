"""How changes of the system are shown before they are made, and afterwards."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import typer

from certs.trust import Entry, Outcome
from certs.trust_store import Root
from procman.errors import StoresError
from procman.system.change import Block, Part, Put
from procman.system.invoker import Invoker, Result
from procman.system.target import Impossible, Plan, Target


def interactive() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not os.environ.get("CI")


def agreed(question: str, *, yes: bool) -> bool:
    """Asks once. Raises `StoresError` (exit code 2) where nobody can be asked and --yes was not given."""
    if yes:
        return True
    if not interactive():
        raise StoresError(
            "Nobody is here to be asked (no terminal, or CI is set)", "Say so yourself: --yes", exit_code=2
        )
    return typer.confirm(question, err=True)


def authority(root: Root) -> None:
    """The CA that all of it is about."""
    digits = root.fingerprint[:16].upper()
    pairs = ":".join(digits[index : index + 2] for index in range(0, len(digits), 2))
    typer.echo(f"The local CA of {root.domain}: {root.file}\n  SHA-256 {pairs}…; in all stores as {root.name}")


def outcomes(told: Iterable[Outcome]) -> list[Outcome]:
    """Each store in a line, as it comes."""
    seen = []
    for one in told:
        seen.append(one)
        typer.echo(f"  {one.title} {one.place}: {one.said}" + (f": {one.problem}" if one.problem else ""))
        if one.hint:
            typer.echo(f"    {one.hint}")
    return seen


def plan(whole: Plan, invoker: Invoker) -> None:
    """Every file and command, and by what command it is done."""
    for part in whole.done:
        typer.echo(f"  done already: {part.what}")
    for part in whole.wanted:
        typer.echo(f"  as root: {part.what}")
        for line in part.lines():
            typer.echo(f"    {line}")
    for one in whole.impossible:
        typer.echo(f"  cannot be done: {one.name}: {one.why}\n    {one.hint}")
    if whole.wanted:
        typer.echo(f"by: {_how(invoker)}")


def removal(names: Sequence[str], entries: Sequence[Entry], folders: Sequence[Path], invoker: Invoker) -> None:
    """What is going to be undone."""
    from procman.system import needs  # noqa: PLC0415 (loads what is only needed here)

    record = needs.record()
    for entry in entries:
        typer.echo(f"  {entry.title} {entry.place}: {entry.name} will be removed")
    for name in names:
        part = record[name].part
        typer.echo(f"  as root, undo: {part.what}")
        for line in (*part.before_undo, *(f"remove {_place(file)}" for file in part.files), *part.after_undo):
            typer.echo(f"    {line}")
    for folder in folders:
        typer.echo(f"  {folder} will be removed")
    if names:
        typer.echo(f"by: {_how(invoker)}")


def results(told: Iterator[Result], names: Sequence[str]) -> list[str]:
    """What root did, as it comes. Returns the names of the parts that failed; all that are left where root refuses."""
    failed, open_ = [], list(names)
    try:
        for one in told:
            open_.remove(one.part)
            for line in one.done:
                typer.echo(f"  {line}")
            if one.error:
                failed.append(one.part)
                typer.echo(f"  failed: {one.part}: {one.error}", err=True)
    except StoresError as error:
        typer.echo(f"  failed: {error.message}\n    {error.hint}", err=True)
        return failed + open_
    return failed


def meanwhile(parts: Sequence[Part], impossible: Sequence[Impossible]) -> None:
    """What is missing, and the way that works without it."""
    for part in parts:
        typer.echo(f"  missing: {part.what}\n    meanwhile: {part.missing}")
    for one in impossible:
        typer.echo(f"  missing: {one.name}: {one.why}\n    {one.hint}")


def ready(wanted: Target, *, restart: bool) -> None:
    """What works now."""
    port = "" if wanted.https else ":PORT"
    if restart:
        typer.echo("What runs already learns of it with the next start: stores down, then stores up -d")
    typer.echo(f"Ready: https://NAME.{wanted.domain}{port}/ (undo: stores clean)")


def _place(file: Put | Block) -> str:
    return file.path if isinstance(file, Put) else f"our lines from {file.path}"


def _how(invoker: Invoker) -> str:
    try:
        return shlex.join([*invoker.command(ask=True), *invoker.helper])
    except StoresError as error:
        return f"root ({error.hint})"
