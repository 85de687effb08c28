"""A stream that becomes a tunnel: WebSocket over HTTP/2 (RFC 8441), and CONNECT (RFC 9113, section 8.5).

Upstreams speak HTTP/1.1, where a WebSocket begins with GET, ``Upgrade: websocket`` and a key (RFC 6455, section 4).
"""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Final

from proxy_addons.front.exchange import Request, Response
from proxy_addons.front.h2_asker import StreamAsker
from proxy_addons.front.h2_request import Head
from proxy_addons.front.hpack_encoder import encode_head

WEBSOCKET: Final = b"websocket"
#: RFC 6455, section 1.3.
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_ACCEPT: Final = b"sec-websocket-accept"
_ONLY_HTTP1: Final = frozenset((_ACCEPT, b"connection", b"upgrade"))
_SWITCHING, _OK, _LAST_OK = 101, 200, 299
#: RFC 9220, section 3: for a ``:protocol`` that nobody knows here.
_NOT_IMPLEMENTED: Final = encode_head(501, [(b"content-length", b"0")])
_BAD_GATEWAY: Final = encode_head(502, [(b"content-length", b"0")])


class TunnelAsker(StreamAsker):
    """Octets both ways, once the upstream has agreed."""

    __slots__ = ("_early", "_key", "_open")

    def request_received(self, head: Head, *, ended: bool) -> None:
        """Asks the front for a change of protocol. What the client sends before the answer waits: it is no body."""
        self._early: list[tuple[bytes, bool]] = [(b"", True)] if ended else []
        self._open = False
        self._key = b""
        if head.protocol not in {b"", WEBSOCKET}:
            self.send_head(_NOT_IMPLEMENTED, ended=True)
            return
        request = Request(self._client, head.method, head.target, head.fields, head.host)
        request.version = b"HTTP/2"
        if head.protocol:
            self._upgrade(request)
        self._request = request
        self.tunnel = True
        self._front.ask(request, self, b"", True)

    def data_received(self, data: bytes, *, ended: bool) -> None:
        """Its window is all that a client can send too early."""
        if self._open:
            super().data_received(data, ended=ended)
        else:
            self._early.append((data, ended))
            self.hold()

    def on_response(self, response: Response, data: bytes, ended: bool) -> None:  # noqa: FBT001 - `exchange.Asker`'s
        """The upstream agrees or refuses; a refusal is an answer like any other."""
        if not response.tunnel:
            self.tunnel = False
            if _OK <= response.status <= _LAST_OK:  # to the client, that would be consent
                self._refuse()
            else:
                super().on_response(response, data, ended)
            return
        if self._key and not self._accepted(response):
            self._refuse()
            return
        fields = [field for field in response.fields if field[0].lower() not in _ONLY_HTTP1]
        status = _OK if response.status == _SWITCHING else response.status
        agreed = Response(status, b"", fields, response.length)
        self._open = True
        super().on_response(agreed, b"", False)
        if data or ended:
            self.on_body(data, ended)
        self.release()
        for octets, last in self._early:
            super().data_received(octets, ended=last)
        self._early.clear()

    def on_body(self, data: bytes, ended: bool) -> None:  # noqa: FBT001 - `exchange.Asker`'s
        """Its end is the end of one direction: the exchange goes on."""
        if self.tunnel:
            self.send_data(data, ended=ended)
        else:
            super().on_body(data, ended)

    def _upgrade(self, request: Request) -> None:
        self._key = base64.b64encode(os.urandom(16))
        request.method = b"GET"
        request.upgrade = WEBSOCKET
        request.fields += [(b"Connection", b"Upgrade"), (b"Upgrade", WEBSOCKET), (b"Sec-WebSocket-Key", self._key)]

    def _accepted(self, response: Response) -> bool:
        """Whether the upstream is a WebSocket server that read our key: over HTTP/2 the client cannot tell."""
        digest = hashlib.sha1(self._key + _GUID, usedforsecurity=False).digest()
        return (_ACCEPT, base64.b64encode(digest)) in [(name.lower(), value) for name, value in response.fields]

    def _refuse(self) -> None:
        self.tunnel = False
        self.gone()
        self.send_head(_BAD_GATEWAY, ended=True)
