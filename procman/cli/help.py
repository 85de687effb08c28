"""How help looks: plain text that fits 80 columns, verbs in groups. rich would cost 100 ms of each `--help`."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

#: An option whose variable is told once, at the end of ``stores --help``, and not in every line.
option = functools.partial(typer.Option, show_envvar=False)


def shown(verb: Callable[..., None]) -> str:
    """A verb's docstring, its examples line by line: click fills a paragraph unless it begins with a backspace."""
    return re.sub(r"\n(?=For example:\n)", "\n\b\n", inspect.cleandoc(verb.__doc__ or ""))


class Verbs(TyperGroup):
    """The verbs, in the order and the groups of `app`."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 (click's signature)
        """In the order in which they were added; click would sort them."""
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 (click's signature)
        """A section a group."""
        panels: dict[str, list[tuple[str, str]]] = {}
        width = max(map(len, self.commands))
        for name, command in self.commands.items():
            if not command.hidden:
                panel = str(getattr(command, "rich_help_panel", None) or "Verbs")
                text = command.get_short_help_str(formatter.width - width - 6)
                panels.setdefault(panel, []).append((name.ljust(width), text))
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl(rows)


def group(name: str, text: str, *verbs: Callable[..., None]) -> typer.Typer:
    """``stores NAME VERB``: the verbs are called as their functions are, and told as their docstrings say."""
    app = typer.Typer(
        name=name,
        cls=Verbs,
        help=text,
        rich_markup_mode=None,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for verb in verbs:
        app.command(name=verb.__name__, help=shown(verb))(verb)
    return app
