"""Arguments and options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

from procman.cli.help import option
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
Json = Annotated[bool, option("--json", help="Print JSON, for programs.", envvar="STORES_JSON")]
NoNeeds = Annotated[bool, option("--no-deps", help="Do not start what the services need.")]
Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A service (netshop), or a process of it (netshop.worker).", autocompletion=names
    ),
]
