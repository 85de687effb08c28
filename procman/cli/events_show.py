"""How events and their subscriptions look."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any

from procman.cli.render import paint
from procman.cli.terminal_text import cut, padded, plain, width

_COLOUR = {"idle": "32", "delivering": "32", "waiting": "33", "retrying": "33", "paused": "33", "ended": "31"}
#: Columns of a reason, where no terminal says how wide it is; of what is cut, however narrow one is.
_WIDTH, _LEAST = 100, 20


def line(one: dict[str, Any], *, as_json: bool) -> None:
    """One event of the log on one line: on a terminal not longer than that is wide, where most of it has room."""
    event = one["event"]
    if as_json:
        text = json.dumps(one, ensure_ascii=False)
    else:
        at = time.strftime("%H:%M:%S", time.localtime(one["at"]))
        head = f"{at} {one['seq']:>6} {event['type']}"
        subject = f" {event['subject']}" if event.get("subject") else ""
        rest = plain(f"{event['source']}{subject} {_said(event)}".rstrip())
        if sys.stdout.isatty():
            rest = cut(rest, max(_LEAST, shutil.get_terminal_size().columns - width(head) - 1))
        text = f"{paint(head, '36')} {rest}"
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _said(event: dict[str, Any]) -> str:
    data = event.get("data", event.get("data_base64", ""))
    return json.dumps(data, ensure_ascii=False) if data != "" else ""


def whole(value: Any) -> None:
    """All of an event."""
    _json(value)


def standing(health: dict[str, Any], subscriptions: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """The log, and each subscription."""
    if as_json:
        _json({**health, "subscriptions": subscriptions})
        return
    if subscriptions:
        rows = [("SUBSCRIBER", "STATE", "WAITING", "RETRYING", "DEAD", "DELIVERED", "")]
        rows += [
            (
                one["name"],
                one["state"],
                *(str(one[key] or "") for key in ("waiting", "parked", "dead", "delivered")),
                plain(one["problem"]) if one["waiting"] or one["state"] == "ended" else "",
            )
            for one in subscriptions
        ]
        _table(rows, state=1)
    else:
        sys.stdout.write('Nobody subscribes. In a service\'s file: subscribe = ["com.example.order.*"]\n')
    sys.stdout.write("\n".join(["", *_log(health), ""]))


def _log(health: dict[str, Any]) -> list[str]:
    """Where the events are, and what is wrong, with what to type."""
    where = f"{health['engine']}, {health['where']}"
    lines = [f"{health['status']}: {health['events']:,} events, {health['bytes']:,} bytes in {where}"]
    if health["waiting"]:
        lines.append(f"waiting: {health['waiting']:,} of {health['backlog']:,} before publishers are told to slow down")
    if remote := health["remote"]:
        lines.append(f"remote: {remote['url']}, forward {remote['forward']}, receive {remote['receive']}")
    for name, problem in health["problems"].items():
        lines += [f"{name}: {problem}", f"  {health['hints'][name]}"]
    return lines + [f"caution: {text}" for text in health["cautions"].values()]


def letters(found: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Dead letters."""
    if as_json:
        _json(found)
        return
    if not found:
        sys.stdout.write("None.\n")
        return
    rows = [("NUMBER", "SUBSCRIBER", "SEQ", "TYPE", "ATTEMPTS", "AT", "WHY")]
    for one in found:
        numbers = (str(one["number"]), one["subscription"], str(one["seq"]))
        rows.append((*numbers, one["event"]["type"], str(one["attempts"]), _at(one), cut(_why(one), _WIDTH)))
    _table(rows)
    sys.stdout.write("\nWhole: stores events dead NUMBER   Again: stores events retry NUMBER…")
    sys.stdout.write("   Forget: stores events dead NUMBER|NAME --drop\n")


def letter(one: dict[str, Any], *, as_json: bool) -> None:
    """One dead letter whole: what its subscriber answered, and the event."""
    if as_json:
        _json(one)
        return
    tried = f"{one['attempts']} attempt{'s' * (one['attempts'] != 1)}"
    sys.stdout.write(f"{one['number']}: event {one['seq']} for {one['subscription']}, {_at(one)}, after {tried}\n")
    sys.stdout.write(f"{_why(one)}\n")
    _json(one["event"])
    sys.stdout.write(f"\nAgain: stores events retry {one['number']}   ")
    sys.stdout.write(f"Forget: stores events dead {one['number']} --drop\n")


def _at(one: dict[str, Any]) -> str:
    return time.strftime("%m-%d %H:%M:%S", time.localtime(one["at"]))


def _why(one: dict[str, Any]) -> str:
    return plain(f"{one['status'] or ''} {one['reason']}".strip())


def done(told: dict[str, Any], text: str, *, as_json: bool) -> None:
    """What a verb has done."""
    if as_json:
        _json(told)
    else:
        sys.stdout.write(f"{text}\n")


def _json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _table(rows: Sequence[tuple[str, ...]], state: int | None = None) -> None:
    """`state`: the column that is coloured by what it says."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns - sum(widths[:-1]) - 2 * (len(widths) - 1)
        rows = [(*row[:-1], cut(row[-1], max(_LEAST, room))) for row in rows]
        widths[-1] = 0  # nothing stands behind it
    for number, row in enumerate(rows):
        cells = [padded(cell, columns) for cell, columns in zip(row, widths, strict=True)]
        if number == 0:
            cells = [paint(cell, "1") for cell in cells]
        elif state is not None:
            cells[state] = paint(cells[state], _COLOUR.get(row[state], "0"))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
