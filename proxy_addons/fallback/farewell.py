"""What a browser's WebSocket is told where nobody answers: it is opened, and closed at once with a code and the reason.

A refused handshake would tell a page's script nothing: browsers keep status and body to themselves, and say 1006.
Programs can read both, so they get the status (`fallback_page`).
"""

from __future__ import annotations

import base64
import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from mitmproxy.http import Headers, Response

if TYPE_CHECKING:
    from mitmproxy.http import Request

#: Seconds before such an answer. Many clients begin to count anew once a socket was opened, and would be back at once.
PAUSE: Final = 1.0
#: RFC 6455, sections 1.3, 5.2 and 5.5: the whole frame's text, of which the code takes two bytes.
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CLOSE: Final = 0x88
_LONGEST: Final = 125 - 2
_KEY_LENGTH: Final = 16
#: IANA's registry of close codes: policy violation, try again later, bad gateway.
_POLICY, _LATER, _BAD_GATEWAY = 1008, 1013, 1014


def applies(request: Request) -> bool:
    """Whether `request` is a proper handshake (RFC 6455, section 4.2.1) of a browser, which always says its origin."""
    headers = request.headers
    try:
        key = base64.b64decode(headers.get("sec-websocket-key", ""), validate=True)
    except ValueError:
        return False
    return (
        request.method == "GET"
        and headers.get("upgrade", "").strip().lower() == "websocket"
        and headers.get("sec-websocket-version", "").strip() == "13"
        and len(key) == _KEY_LENGTH
        and "origin" in headers
    )


def agreement(request: Request, headers: Headers) -> Response:
    """The answer that opens it, with `headers`; to a request that `applies`."""
    key = request.headers["sec-websocket-key"].strip().encode()
    digest = hashlib.sha1(key + _GUID, usedforsecurity=False).digest()
    headers["Connection"] = "Upgrade"
    headers["Upgrade"] = "websocket"
    headers["Sec-WebSocket-Accept"] = base64.b64encode(digest).decode()
    offered = request.headers.get("sec-websocket-protocol", "").partition(",")[0].strip()
    if offered:  # browsers take an answer without one for a broken handshake
        headers["Sec-WebSocket-Protocol"] = offered
    response = Response.make(HTTPStatus.SWITCHING_PROTOCOLS, b"", headers)
    response.headers.pop("content-length", None)
    return response


def close_frame(status: int, reason: str) -> bytes:
    """The frame that closes it, where an answer would have had this status; a long reason is cut."""
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        code = _LATER
    else:
        code = _POLICY if status < HTTPStatus.INTERNAL_SERVER_ERROR else _BAD_GATEWAY
    text = reason.encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore").encode()  # no half character
    return bytes((_CLOSE, 2 + len(text))) + code.to_bytes(2, "big") + text
