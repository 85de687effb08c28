"""How events and their subscriptions look."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from procman.cli.render import paint

_COLOUR = {"idle": "32", "delivering": "32", "waiting": "33", "retrying": "33", "paused": "33", "ended": "31"}
_WIDTH = 100


def line(seq: int, event: dict[str, Any], *, as_json: bool) -> None:
    """One event on one line."""
    if as_json:
        text = json.dumps({"seq": seq, "event": event}, ensure_ascii=False)
    else:
        data = event.get("data", event.get("data_base64", ""))
        said = json.dumps(data, ensure_ascii=False) if data != "" else ""
        subject = f" {event['subject']}" if event.get("subject") else ""
        head = paint(f"{seq:>6} {event['type']}", "36")
        text = f"{head} {event['source']}{subject} {said if len(said) <= _WIDTH else said[: _WIDTH - 1] + '…'}".rstrip()
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


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
                one["problem"] if one["waiting"] or one["state"] == "ended" else "",
            )
            for one in subscriptions
        ]
        _table(rows)
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
        at = time.strftime("%m-%d %H:%M:%S", time.localtime(one["at"]))
        why = f"{one['status'] or ''} {one['reason']}".strip()[:_WIDTH]
        numbers = (str(one["number"]), one["subscription"], str(one["seq"]))
        rows.append((*numbers, one["event"]["type"], str(one["attempts"]), at, why))
    _table(rows)
    sys.stdout.write("\nAgain: stores events retry NUMBER…   Forget: stores events dead NAME --drop\n")


def done(told: dict[str, Any], text: str, *, as_json: bool) -> None:
    """What a verb has done."""
    if as_json:
        _json(told)
    else:
        sys.stdout.write(f"{text}\n")


def _json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        if number == 0:
            cells = [paint(cell, "1") for cell in cells]
        elif row[1] in _COLOUR:
            cells[1] = paint(cells[1], _COLOUR[row[1]])
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
