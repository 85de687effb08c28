"""The program's verbs, gathered: what `stores --help` shows, in its order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from procman.cli import (
    auth,
    autostart,
    caller,
    completion,
    doctor,
    events,
    inside,
    inspection,
    lifecycle,
    logs,
    mcp,
    prepare,
    registration,
    status,
    system,
    terminal,
    update,
)
from procman.cli.help import Verb, Verbs, option, shown
from procman.cli.place import choose

_HELP = """Runs several connected services on this machine, behind one gateway.

\b
  stores run netshop reserve     start two services here, until Ctrl-C
  stores status                  what runs, and what answers each host
  stores run -h                  a verb's options and examples
"""

_EPILOG = """Every option can be set by a variable: STORES_LOGS_LINES=50 is `stores logs --lines 50`. STORES_JSON=1 is
--json everywhere, NO_COLOR=1 is without colours."""

app = typer.Typer(
    name="stores",
    cls=Verbs,
    help=_HELP,
    epilog=_EPILOG,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    # every option can be set by a variable: STORES_LOGS_LINES=50 is `stores logs --lines 50`
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "STORES"},
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
        bool,
        option(
            "--version",
            help="Print the version and exit.",
            callback=_version,
            is_eager=True,
            allow_from_autoenv=False,
        ),
    ] = False,
) -> None:
    """What comes before the verb."""
    choose(workspace)


#: What follows a name belongs to the command that is run, options included.
_PASSES_ON = {"allow_interspersed_args": False}

_VERBS: dict[str, tuple[Callable[..., None], ...]] = {
    "What runs": (
        lifecycle.run,
        lifecycle.up,
        lifecycle.start,
        lifecycle.stop,
        lifecycle.restart,
        lifecycle.down,
    ),
    "Look": (
        status.status,
        logs.logs,
        inspection.inspect,
        status.open_,
        inside.env,
        inside.exec_,
        terminal.attach,
        caller.as_,
        auth.token,
    ),
    "The workspace": (
        registration.add,
        registration.check,
        prepare.clone,
        prepare.setup,
        registration.use,
        completion.completion,
    ),
    "For programs": (mcp.mcp,),
    "This machine": (doctor.doctor, system.trust, autostart.autostart, update.update, system.clean),
}
_SETTINGS: dict[str, dict[str, Any]] = {"exec": _PASSES_ON}

for panel, verbs in _VERBS.items():
    for verb in verbs:
        name = verb.__name__.rstrip("_")
        settings = _SETTINGS.get(name)
        app.command(name=name, cls=Verb, help=shown(verb), rich_help_panel=panel, context_settings=settings)(verb)
app.command(name="ps", cls=Verb, help=shown(status.status), hidden=True)(
    status.status
)  # as compose and overmind call it
app.add_typer(events.app, rich_help_panel="Look")
app.add_typer(auth.app, rich_help_panel="Look")
