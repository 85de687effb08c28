"""Arguments and options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

from procman.cli.place import names

Targets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME]...",
        help="Services (netshop), processes (netshop.worker), groups, globs ('net*').",
        autocompletion=names,
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
NoNeeds = Annotated[bool, typer.Option("--no-deps", help="Do not start what the services need.")]
