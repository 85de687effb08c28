"""How help looks: plain text that fits 80 columns, verbs in groups. rich would cost 100 ms of each `--help`."""

from __future__ import annotations

import functools
import inspect
import re
import select
import sys
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

#: An option whose variable is told once, at the end of ``stores --help``, and not in every line.
option = functools.partial(typer.Option, show_envvar=False)

#: What may be left out says so in the line "Usage:"; below it stands its name.
_UNBRACKETED = re.compile(r"^\[([^]]*)\](.*)")


def shown(verb: Callable[..., None]) -> str:
    """A verb's docstring, its examples line by line: click fills a paragraph unless it begins with a backspace."""
    return re.sub(r"\n(?=For example:\n)", "\n\b\n", inspect.cleandoc(verb.__doc__ or ""))


class Verb(TyperCommand):
    """One verb. Its arguments are told as they are named: typer puts brackets of its own around them, and types."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ARG002 (click's signature)
        """What stands after the verb in the line "Usage:"."""
        return [self.options_metavar or "", *map(_argument, _arguments(self))]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, then options."""
        told = [(_UNBRACKETED.sub(r"\1\2", _argument(one)), one.help or "") for one in _arguments(self)]
        if told:
            with formatter.section("Arguments"):
                formatter.write_dl(told)
        with formatter.section("Options"):
            records = (one.get_help_record(ctx) for one in self.get_params(ctx) if one.param_type_name == "option")
            formatter.write_dl(list(filter(None, records)))


def _arguments(verb: Any) -> list[Any]:
    return [one for one in verb.params if one.param_type_name == "argument" and not one.hidden]


def _argument(one: Any) -> str:
    """Its name in capitals; in brackets where it may be left out."""
    name = one.metavar or str(one.name).upper()
    return name if one.required or name.startswith("[") else f"[{name}]"


class UnheardError(Exception):
    """Whoever read our output has gone. No ``OSError``: of that, typer would make exit code 1."""


class Verbs(TyperGroup):
    """The verbs, in the order and the groups of `app`."""

    def invoke(self, ctx: Any) -> Any:
        """The verb. Raises `UnheardError`."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            if _heard():
                raise
            raise UnheardError from error

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


def _heard() -> bool:
    """Whether somebody reads our output: a pipe without a reader has an error, which no mask hides (poll(2))."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return not poll.poll(0)


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
        app.command(name=verb.__name__, cls=Verb, help=shown(verb))(verb)
    return app
