"""The shell's completion."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from procman.cli import COMPLETE


class Shell(enum.StrEnum):
    """The shells that completion is known for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="Your shell.", show_default=False)],
) -> None:
    """Print what teaches a shell to complete verbs and names.

    For example:
      stores completion bash >> ~/.bashrc
      stores completion zsh > ~/.zfunc/_stores
      stores completion fish > ~/.config/fish/completions/stores.fish
    """
    from typer._completion_shared import get_completion_script  # noqa: PLC0415 (only here; typer exports no other)

    typer.echo(get_completion_script(prog_name="stores", complete_var=COMPLETE, shell=shell.value))
