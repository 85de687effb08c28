"""The command line: parses, calls one function, prints its result. The only room that knows typer."""

from __future__ import annotations

import os
import sys

from procman.errors import StoresError

#: Set by the scripts of ``stores completion``: what is wanted is not a verb's work, but the words that may follow.
COMPLETE = "_STORES_COMPLETE"


def main() -> None:
    """The program `stores`. The one place where a `StoresError` becomes text and an exit code."""
    from procman.cli.app import app  # noqa: PLC0415 (so that a broken import is an error like any other)

    if COMPLETE in os.environ:
        from typer._completion_classes import completion_init  # noqa: PLC0415 (only while Tab is pressed)

        completion_init()
    try:
        app(prog_name="stores", complete_var=COMPLETE)
    except StoresError as error:
        sys.stderr.write(f"stores: {error.message}\n" + (f"  {error.hint}\n" if error.hint else ""))
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `stores logs | head`: nobody listens any more, which is no failure
        sys.stderr.close()
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
