"""The program's verbs, gathered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from procman.cli import lifecycle, look, registration
from procman.cli.place import choose

app = typer.Typer(
    name="stores",
    help="Runs several connected services on this machine, behind one gateway.",
    epilog="Start with:  stores run NAME…    What runs:  stores status    More on each verb:  stores run --help",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(show: bool) -> None:
    if show:
        from importlib.metadata import version  # noqa: PLC0415 (12 ms that only --version needs)

        typer.echo(f"stores {version('stores')}")
        raise typer.Exit


@app.callback()
def common(
    workspace: Annotated[
        Path | None,
        typer.Option(
            "--workspace", "-w", metavar="DIR", help="The folder that has Procfile.d/.", envvar="STORES_WORKSPACE"
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 (its callback does the work)
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """What comes before the verb."""
    choose(workspace)


_VERBS: tuple[Callable[..., None], ...] = (
    lifecycle.run,
    lifecycle.up,
    lifecycle.down,
    lifecycle.start,
    lifecycle.stop,
    lifecycle.restart,
    look.status,
    look.logs,
    look.open_,
    registration.check,
    registration.add,
    registration.use,
)
for verb in _VERBS:
    app.command(name=verb.__name__.rstrip("_"))(verb)
app.command(name="ps", hidden=True)(look.status)  # as compose and overmind call it
