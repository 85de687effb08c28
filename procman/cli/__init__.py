"""The command line: parses, calls one function, prints its result. The only room that knows typer."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import sys
from typing import NoReturn

from procman.errors import StoresError

#: Set by the scripts of ``stores completion``: what is wanted is not a verb's work, but the words that may follow.
COMPLETE = "_STORES_COMPLETE"


def main() -> None:
    """The program `stores`. The one place where a `StoresError` becomes text and an exit code."""
    from procman.cli.app import app  # noqa: PLC0415 (so that a broken import is an error like any other)
    from procman.cli.help import UnheardError  # noqa: PLC0415 (it imports typer)

    _stand_in()
    if COMPLETE in os.environ:
        from typer._completion_classes import completion_init  # noqa: PLC0415 (only while Tab is pressed)

        completion_init()
    try:
        try:
            app(prog_name="stores", complete_var=COMPLETE)
        finally:
            sys.stdout.flush()  # here, where it may fail as everything else may, and not after the program's end
    except StoresError as error:
        _fail(error)
    except (UnheardError, BrokenPipeError):  # `stores logs | head`: nobody listens any more, which is no failure
        _unwritten()
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:  # a full disk, a folder that may not be read: no traceback mends these
        _fail(_unexpected(error))


def _stand_in() -> None:
    """Python has no stream where a shell closed one (``>&-``): what is written there is lost, and nothing fails."""
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 (for as long as we live)
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 (the same)


def _unexpected(error: OSError) -> StoresError:
    why = error.strerror or str(error)
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StoresError(f"{error.filename or 'A file, or the output,'} cannot be written: {why}", "Make room: df -h")
    if error.filename:
        return StoresError(f"{error.filename}: {why}", f"Look at it: ls -ld {shlex.quote(str(error.filename))}")
    return StoresError(why, "See what is wrong: stores doctor")


def _fail(error: StoresError) -> NoReturn:
    sys.stderr.write(f"stores: {error.message}\n" + (f"  {error.hint}\n" if error.hint else ""))
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    _unwritten()
    sys.exit(error.exit_code)


def _unwritten() -> None:
    """What is left in the buffer is not tried again when Python ends: that would fail once more, and aloud."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
