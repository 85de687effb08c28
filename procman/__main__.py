"""``python -m procman``: the supervisor's process. `stores run` becomes it, `stores up -d` starts it in the background.

It parses its own few arguments, because typer and what it stands on would stay in memory for as long as it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path


def main() -> int:
    """Runs the supervisor. Returns its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the loop takes it: a Ctrl-C while this loads just ends it
    sys.modules["ssl"] = None  # type: ignore[assignment]  # asyncio does without it, and 4.5 MB stay with the services
    from procman.errors import StoresError  # noqa: PLC0415 (as above)
    from procman.paths import Paths  # noqa: PLC0415 (as above)
    from procman.process import spawn  # noqa: PLC0415 (most of the time until the first line of `house` is spent here)
    from procman.resident import house  # noqa: PLC0415 (most of the time until the first line of `house` is spent here)

    spawn.open_standard_streams()
    parser = argparse.ArgumentParser(prog="python -m procman", description="The supervisor. People type: stores")
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--background", action="store_true", help="start nothing and show nothing; obey the socket")
    parser.add_argument("--resume", action="store_true", help="start what ran when the last one was ended")
    parser.add_argument("targets", nargs="*")
    arguments = parser.parse_args()
    environ = dict(os.environ)
    root = arguments.workspace.resolve()
    try:
        targets = None if arguments.background else arguments.targets
        return house.run(root, Paths.of(root, environ), environ, targets, resume=arguments.resume)
    except StoresError as error:
        told = {"message": error.message, "hint": error.hint, "exit": error.exit_code}
        text = f"stores: {error.message}" + (f"\n  {error.hint}" if error.hint else "")
        if sys.stderr:  # there is none where it was closed
            sys.stderr.write((json.dumps(told) if arguments.background else text) + "\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
