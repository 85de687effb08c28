"""The command line: parses, calls one function, prints its result. The only room that knows typer."""

from __future__ import annotations

import sys

from procman.errors import StoresError


def main() -> None:
    """The program `stores`. The one place where a `StoresError` becomes text and an exit code."""
    from procman.cli.app import app  # noqa: PLC0415 (so that a broken import is an error like any other)

    try:
        app()
    except StoresError as error:
        sys.stderr.write(f"stores: {error.message}\n" + (f"  {error.hint}\n" if error.hint else ""))
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `stores logs | head`: nobody listens any more, which is no failure
        sys.stderr.close()
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
