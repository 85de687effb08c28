"""A record for other programs: mitmproxy's own exporters, and what has to be mended around them."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from mitmproxy.addons.export import formats
from mitmproxy.addons.savehar import SaveHar
from mitmproxy.exceptions import CommandError
from mitmproxy.io import FlowWriter

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

#: Of one request, and of many.
KINDS: Final = ("curl", "httpie", "har", "raw", "mitm")
FILES: Final = ("har", "mitm")
MEDIA_TYPES: Final = {
    "curl": "text/plain; charset=utf-8",
    "httpie": "text/plain; charset=utf-8",
    "har": "application/json",
    "raw": "application/octet-stream",
    "mitm": "application/octet-stream",
}
#: Stands for the body while mitmproxy makes a command line of the rest.
_PLACE: Final = "the-body"
#: How the two commands say it: mitmproxy 11 and 12 quote line ends and percent signs so that a shell
#: undoes it wrongly.
_TAILS: Final = {"curl": (f" -d {_PLACE}", " --data-raw "), "httpie": (f" <<< {_PLACE}", " --raw=")}


class ExportError(ValueError):
    """A request that cannot be had in that form."""


def exported(flows: list[HTTPFlow], kind: str) -> bytes:
    """The text of one, or a file of many. Raises `ExportError`."""
    if kind == "har":
        return har(flows)
    if kind == "mitm":
        return flow_file(flows)
    if kind == "raw":
        return _bytes(_call(kind, flows[0]))
    return _command(flows[0], kind)


def har(flows: list[HTTPFlow]) -> bytes:
    """HAR 1.2, as browsers' developer tools read it."""
    made = SaveHar().make_har(flows)
    for entry, flow in zip(made["log"]["entries"], flows, strict=True):
        _complete(entry, flow)
    return json.dumps(made, ensure_ascii=True, separators=(",", ":")).encode()


def flow_file(flows: Iterable[HTTPFlow]) -> bytes:
    """What mitmproxy and mitmweb open with ``-r``."""
    out = io.BytesIO()
    writer = FlowWriter(out)  # type: ignore[no-untyped-call]  # mitmproxy is typed in parts only
    for flow in flows:
        writer.add(flow)
    return out.getvalue()


def _command(flow: HTTPFlow, kind: str) -> bytes:
    copy: Any = flow.copy()  # type: ignore[no-untyped-call]  # mitmproxy is typed in parts only
    body = copy.request.get_content(strict=False) or b""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise ExportError("Its body is no text, so it fits into no command line") from error
    if "\0" in text:
        raise ExportError("Its body holds a NUL, which fits into no command line")
    copy.request.headers.pop("content-encoding", None)
    copy.request.data.content = _PLACE.encode() if text else b""
    copy.request.headers["content-length"] = "0"  # mitmproxy 11 takes it away without looking whether it is there
    command = _bytes(_call(kind, copy)).decode("utf-8", "backslashreplace")
    tail, option = _TAILS[kind]
    if text and not command.endswith(tail):
        raise ExportError(f"mitmproxy makes another command of it than is known here: {command}")
    if text:
        command = command[: -len(tail)] + option + shlex.quote(text)
    return f"{command}\n".encode("utf-8", "backslashreplace")


def _call(kind: str, flow: HTTPFlow) -> str | bytes:
    try:
        return formats[kind](flow)
    except (CommandError, ValueError) as error:
        raise ExportError(str(error)) from error


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")


def _complete(entry: dict[str, Any], flow: HTTPFlow) -> None:
    """What HAR 1.2 demands and mitmproxy leaves out of a request that got no answer; and our notes."""
    response = entry["response"]
    response["content"] = {"size": 0, "mimeType": "x-unknown", **response["content"]}
    if "postData" in entry["request"]:
        entry["request"]["postData"]["text"] = entry["request"]["postData"]["text"] or ""
    if flow.comment:
        entry["comment"] = flow.comment
    for name, value in entry["timings"].items():
        if name in {"send", "wait", "receive"}:
            entry["timings"][name] = max(0.0, value or 0.0)
