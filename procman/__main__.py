"""``python -m procman``: the supervisor's process. `stores run` becomes it, `stores up -d` starts it in the background.

It parses its own few arguments, because typer and what it stands on would stay in memory for as long as it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from procman import house
from procman.errors import StoresError
from procman.paths import Paths


def main() -> int:
    """Runs the supervisor. Returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m procman", description="The supervisor. People type: stores")
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--background", action="store_true", help="start nothing and show nothing; obey the socket")
    parser.add_argument("targets", nargs="*")
    arguments = parser.parse_args()
    environ = dict(os.environ)
    root = arguments.workspace.resolve()
    try:
        return house.run(root, Paths.of(root, environ), environ, None if arguments.background else arguments.targets)
    except StoresError as error:
        told = {"message": error.message, "hint": error.hint, "exit": error.exit_code}
        sys.stderr.write((json.dumps(told) if arguments.background else _text(error)) + "\n")
        return error.exit_code


def _text(error: StoresError) -> str:
    return f"stores: {error.message}" + (f"\n  {error.hint}" if error.hint else "")


if __name__ == "__main__":
    sys.exit(main())
