"""How a recorded request looks on a terminal: in a line, and from head to foot."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Final

from procman.cli import render

#: Requests whose end has been shown; the gateway keeps no more.
_REMEMBERED: Final = 1000
_BAD, _FAILED = 400, 500


class Once:
    """Each request is shown when it has ended; what stays open (events, a WebSocket) also when it begins."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, bool], None] = {}

    def wants(self, record: dict[str, Any]) -> bool:
        """Whether it is to be shown now."""
        ended = record["state"] != "open"
        stays = record["status"] and (record["messages"] is not None or record["type"] == "text/event-stream")
        key = (record["id"], ended)
        if key in self._shown or not (ended or stays):
            return False
        if len(self._shown) >= _REMEMBERED:
            del self._shown[next(iter(self._shown))]
        self._shown[key] = None
        return True


def line(record: dict[str, Any], *, as_json: bool) -> None:
    """``ID HH:MM:SS name METHOD status duration URL``."""
    if as_json:
        sys.stdout.write(json.dumps(record) + "\n")
    else:
        at = time.strftime("%H:%M:%S", time.localtime(record["at"]))
        took = "…" if record["duration"] is None else f"{record['duration'] * 1000:.0f} ms"
        begin = f"{record['id']:>5} {at} {record['target']} {record['method']}"
        text = f"{begin} {_status(record)} {took:>7} {_plain(record['path'])}{_more(record)}"
        sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _status(record: dict[str, Any]) -> str:
    status = record["status"]
    if status is None:
        return render.paint("fail" if record["state"] == "failed" else "   …", "31")
    return render.paint(str(status), "31" if status >= _FAILED else "33" if status >= _BAD else "32")


def _more(record: dict[str, Any]) -> str:
    said = [f"{record['messages']} messages"] if record["messages"] else []
    said += [f"sent again: {record['replay_of']}"] if record["replay_of"] else []
    said += [record["error"]] if record["error"] else []
    return f"  ({'; '.join(map(_plain, said))})" if said else ""


def whole(record: dict[str, Any]) -> None:
    """Both sides, as they went over the wire, and what is known besides."""
    request, response = record["request"], record["response"]
    lines = [f"{record['method']} {_plain(record['url'])} {request['http_version']}", *_message(request)]
    if response is not None:
        lines += ["", f"{response['http_version']} {record['status']} {_plain(record['reason'])}", *_message(response)]
    for one in record["messages"] or []:
        lines.append(f"{'>' if one['from'] == 'client' else '<'} {_content(one)}")
    spans = record["timing"]
    told = [
        f"{name} {spans[name] * 1000:.1f} ms" for name in ("request", "wait", "response") if spans[name] is not None
    ]
    to = [f"sent to {record['sent']['to']}"] if record["sent"] else []
    lines += ["", f"# {', '.join([record['service'], record['route'], *to, *told])}"]
    lines += [f"# {_plain(note)}" for note in (*record["notes"], record["error"]) if note]
    sys.stdout.write("\n".join(lines) + "\n")


def _message(message: dict[str, Any]) -> list[str]:
    lines = [f"{_plain(name)}: {_plain(value)}" for name, value in message["headers"]]
    body = message["body"]
    if body["bytes"]:
        lines += ["", _content(body)]
    return lines + [f"{_plain(name)}: {_plain(value)}" for name, value in message["trailers"]]


def _content(part: dict[str, Any]) -> str:
    """Its text; of other bytes only how many there are."""
    return f"({part['bytes']} bytes)" if part["text"] is None else _plain(part["text"])


def _plain(text: str) -> str:
    """Without what would steer the terminal: it comes from anywhere."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
