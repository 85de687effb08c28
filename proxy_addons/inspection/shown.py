"""A record as the HTTP API tells it: in a line, and whole."""

from __future__ import annotations

import base64
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from proxy_addons.inspection import masking
from proxy_addons.inspection.masked import fields, masked

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow, Message

    from proxy_addons.inspection.body import Body
    from proxy_addons.inspection.record import Record


def line(record: Record, *, secrets: bool) -> dict[str, Any]:
    """What stands in a list. Its URL is masked unless `secrets`."""
    flow = record.flow
    request, response = flow.request, flow.response
    hide = (lambda text: text) if secrets else masking.url
    websocket = flow.websocket is not None or request.headers.get("upgrade", "").lower() == "websocket"
    ends = flow.websocket.timestamp_end if flow.websocket else response.timestamp_end if response else None
    return {
        "id": flow.id,
        "at": round(request.timestamp_start, 6),
        "target": record.target,
        "service": record.service,
        "method": request.method,
        "url": hide(request.pretty_url),
        "scheme": request.scheme,
        "host": request.pretty_host,
        "path": hide(request.path),
        "status": response.status_code if response else None,
        "reason": response.reason if response else "",
        "route": record.route,
        "type": response.headers.get("content-type", "").partition(";")[0].strip() if response else "",
        "duration": _span(request.timestamp_start, ends),
        "first_byte": _span(request.timestamp_start, response.timestamp_start if response else None),
        "request_bytes": record.request_body.total,
        "response_bytes": record.response_body.total,
        "state": "failed" if flow.error else "done" if record.done else "open",
        "error": flow.error.msg if flow.error else "",
        "messages": record.messages if websocket else None,
        "replay_of": record.replay_of,
        "notes": record.remarks,
    }


def whole(record: Record, also: Collection[str], *, secrets: bool) -> dict[str, Any]:
    """All that is kept of it. `also`: names of headers that are secret here."""
    flow = record.current()
    shown = flow if secrets else masked(flow, also)
    told = line(record, secrets=secrets)
    told["request"] = _message(shown.request, record.request_body)
    told["sent"] = None if record.sent is None else {"to": record.sent.to, "headers": _sent(record, also, secrets)}
    told["response"] = _message(shown.response, record.response_body) if shown.response else None
    # what a line says of messages is their number; whole, the messages themselves
    told["messages"] = [_said(one) for one in shown.websocket.messages] if shown.websocket else None
    told["timing"] = _timing(flow)
    return told


def _sent(record: Record, also: Collection[str], secrets: bool) -> list[list[str]]:  # noqa: FBT001 - as in `whole`
    assert record.sent is not None
    return [[name, value if secrets else masking.header(name, value, also)] for name, value in record.sent.headers]


def _message(message: Message, body: Body) -> dict[str, Any]:
    return {
        "http_version": message.http_version,
        "headers": [list(pair) for pair in fields(message.headers)],
        "trailers": [list(pair) for pair in fields(message.trailers)] if message.trailers else [],
        "body": _body(message, body),
    }


def _body(message: Message, body: Body) -> dict[str, Any]:
    plain = message.get_content(strict=False) or b""
    note = "The newest part of it" if body.newest and body.cut else "Its beginning" if body.cut else ""
    if message.headers.get("content-encoding") and not plain and body.total:
        note = "Can be read when it has ended"
    kept = len(message.data.content or b"") if body.kept is None else body.kept
    return {
        **_text_or_bytes(plain, message.headers.get("content-type", "")),
        "bytes": body.total,
        "kept": kept,
        "note": note,
    }


def _said(message: Any) -> dict[str, Any]:
    told = _text_or_bytes(message.content, "text/plain" if message.is_text else "application/octet-stream")
    who = "client" if message.from_client else "server"
    return {"at": round(message.timestamp, 6), "from": who, **told, "bytes": len(message.content)}


def _text_or_bytes(data: bytes, media_type: str) -> dict[str, Any]:
    charset = media_type.lower().partition("charset=")[2].partition(";")[0].strip(" \"'") or "utf-8"
    binary = media_type.lower().startswith(("image/", "audio/", "video/", "font/", "application/octet-stream"))
    if not binary and b"\0" not in data:
        try:
            return {"text": data.decode(charset), "base64": None}
        except (LookupError, UnicodeDecodeError) as error:
            # a body that was cut ends anywhere
            if isinstance(error, UnicodeDecodeError) and error.start >= len(data) - 3:
                return {"text": data[: error.start].decode(charset), "base64": None}
    return {"text": None, "base64": base64.b64encode(data).decode("ascii")}


def _timing(flow: HTTPFlow) -> dict[str, float | None]:
    request, response = flow.request, flow.response
    begins = response.timestamp_start if response else None
    return {
        "request": _span(request.timestamp_start, request.timestamp_end),
        "wait": _span(request.timestamp_end, begins),
        "response": _span(begins, response.timestamp_end if response else None),
    }


def _span(begin: float | None, end: float | None) -> float | None:
    return None if begin is None or end is None else round(max(0.0, end - begin), 6)
