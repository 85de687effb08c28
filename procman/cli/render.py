"""How results look: for people on a terminal, for programs as JSON. Verbs return facts, this prints them."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from honcho.colour import get_colours

from procman.control_sequences import tame
from procman.state import State

STATE_COLOUR = {State.READY: "32", State.EXTERNAL: "32", State.FAILED: "31", State.BACKOFF: "31", State.STOPPED: "2"}
_palette = get_colours()
_colours: dict[str, str] = {}


def colourful(stream: Any) -> bool:
    """Whether a stream shows colours, and its user wants them."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, code: str, *, stream: Any = None) -> str:
    """The text in a colour (an SGR code), where the stream shows it."""
    return f"\x1b[{code}m{text}\x1b[0m" if colourful(stream or sys.stdout) else text


def result(value: Any, *, as_json: bool) -> None:
    """The result of a verb that changed something. People were told on the way."""
    if as_json:
        sys.stdout.write(json.dumps(value, indent=2) + "\n")


def warning(text: str) -> None:
    """What is wrong, and does not keep the command from its work."""
    sys.stderr.write(f"stores: warning: {text}\n")


def told(told: dict[str, Any]) -> None:
    """One line of a supervisor's answer, for people. Progress goes to stderr, output of services to stdout."""
    if "line" in told:
        line(told["line"], as_json=False)
    elif "state" in told:
        state = told["state"]
        problem = f": {state['problem']}" if state["problem"] else ""
        colour = STATE_COLOUR.get(State(state["state"]), "33")
        sys.stderr.write(f"{state['name']} {paint(state['state'], colour, stream=sys.stderr)}{problem}\n")
    elif "warning" in told:
        warning(told["warning"])
    elif "missed" in told:
        sys.stderr.write(f"({told['missed']} lines came too fast to be shown here; all of them: stores logs)\n")


def line(line: dict[str, Any], *, as_json: bool, width: int = 0) -> None:
    """One line of a process: ``HH:MM:SS name | text``, its bytes as they were; on a terminal, tamed.

    Names take `width`.
    """
    if as_json:
        sys.stdout.write(json.dumps(line) + "\n")
    else:
        name = line["name"]
        if name not in _colours:
            _colours[name] = next(_palette)
        prefix = f"{time.strftime('%H:%M:%S', time.localtime(line['at']))} {name:<{width}} |"
        text = line["text"].encode("utf-8", "surrogateescape")
        if sys.stdout.isatty():  # as in the foreground: it shows others' lines, too, and answers no questions of theirs
            text = tame(text + b"\n")[:-1]
        sys.stdout.flush()
        sys.stdout.buffer.write(b"%b %b\n" % (paint(prefix, "0;" + _colours[name]).encode(), text))
    sys.stdout.flush()
