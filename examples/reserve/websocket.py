"""The server's part of WebSocket, RFC 6455: handshake, frames, ping and pong, close. No extensions, no subprotocols."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import struct
from collections import deque
from collections.abc import Callable, Iterator
from enum import IntEnum
from http import HTTPStatus

from common.connection import Connection
from common.message import HttpError, Request, Response, Upgrade

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
MAX_MESSAGE = 1 << 16
PING_EVERY = 25.0  # seconds of silence, then a ping; as long again without any answer, then the peer is gone


class Opcode(IntEnum):
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class CloseCode(IntEnum):
    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    INVALID_DATA = 1007
    TOO_BIG = 1009


class ProtocolError(Exception):
    """The peer broke the rules; `code` is what the close frame tells it."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def upgrade(request: Request, run: Callable[[WebSocket], None]) -> Response:
    """Answers the handshake (section 4.2); `run` has the connection then, until it returns."""
    if "websocket" not in _words(request, "Upgrade") or "upgrade" not in _words(request, "Connection"):
        raise HttpError(HTTPStatus.UPGRADE_REQUIRED, "Here one speaks WebSocket.")
    if request.headers.get("Sec-WebSocket-Version") != "13":
        response = Response(status=HTTPStatus.UPGRADE_REQUIRED, content_type="text/plain")
        return response.with_header("Sec-WebSocket-Version", "13")
    key = request.headers.get("Sec-WebSocket-Key", "")
    try:
        usable = len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        usable = False
    if not usable:
        raise HttpError(HTTPStatus.BAD_REQUEST, "Sec-WebSocket-Key is not 16 bytes in base64.")
    accept = base64.b64encode(hashlib.sha1((key + GUID).encode(), usedforsecurity=False).digest()).decode()
    headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)]
    return Upgrade(headers=headers, run=lambda connection: run(WebSocket(connection)))


def _words(request: Request, header: str) -> list[str]:
    return [word.strip().lower() for word in request.headers.get(header, "").split(",")]


def frame(opcode: Opcode, payload: bytes) -> bytes:
    """A whole frame as a server sends it: final and not masked (section 5.1)."""
    length = len(payload)
    if length < 126:
        head = bytes([0x80 | opcode, length])
    elif length < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, 126, length)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 127, length)
    return head + payload


class Frames:
    """Bytes in, the client's frames out: (final, opcode, payload)."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bool, Opcode, bytes]]:
        self._buffer += data
        while (found := self._next()) is not None:
            yield found

    def _next(self) -> tuple[bool, Opcode, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        final, opcode = bool(buffer[0] & 0x80), _opcode(buffer[0])
        length, at = buffer[1] & 0x7F, 2
        if opcode >= Opcode.CLOSE and (length > 125 or not final):
            raise ProtocolError(CloseCode.PROTOCOL_ERROR, "a control frame is short and in one piece")
        if not buffer[1] & 0x80:
            raise ProtocolError(CloseCode.PROTOCOL_ERROR, "a client masks its frames")
        if length >= 126:
            at = 4 if length == 126 else 10
            if len(buffer) < at:
                return None
            length = int.from_bytes(buffer[2:at], "big")
        if length > MAX_MESSAGE:
            raise ProtocolError(CloseCode.TOO_BIG, f"at most {MAX_MESSAGE} bytes")
        if len(buffer) < at + 4 + length:
            return None
        payload = _unmask(bytes(buffer[at + 4 : at + 4 + length]), bytes(buffer[at : at + 4]))
        del buffer[: at + 4 + length]
        return final, opcode, payload


def _opcode(first: int) -> Opcode:
    if first & 0x70:
        raise ProtocolError(CloseCode.PROTOCOL_ERROR, "no extension was agreed on")
    try:
        return Opcode(first & 0x0F)
    except ValueError:
        raise ProtocolError(CloseCode.PROTOCOL_ERROR, "an unknown opcode") from None


def _unmask(payload: bytes, mask: bytes) -> bytes:
    whole = int.from_bytes(payload, "big")
    masks = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (whole ^ int.from_bytes(masks, "big")).to_bytes(len(payload), "big")


class WebSocket:
    """One connection. `send` and `close` may be called from any thread; `messages` belongs to one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._outbox: deque[bytes] = deque()
        self._frames = Frames()
        self._pieces = bytearray()
        self._kind: Opcode | None = None  # of the message whose pieces are coming in

    def send(self, text: str) -> None:
        self._post(frame(Opcode.TEXT, text.encode()))

    def close(self, code: CloseCode = CloseCode.NORMAL, reason: str = "") -> None:
        self._post(_close(code, reason))

    def _post(self, data: bytes) -> None:
        self._outbox.append(data)
        self._connection.wake()

    def messages(self) -> Iterator[str | bytes]:
        """What the peer sends, until either side closes. Answers pings and sends what `send` left here."""
        with contextlib.suppress(OSError):  # the peer vanished: over all the same
            try:
                yield from self._messages()
            except ProtocolError as error:
                self._connection.send(_close(error.code, error.reason))

    def _messages(self) -> Iterator[str | bytes]:
        silent = False
        while self._empty_outbox():
            data = self._connection.receive(PING_EVERY)
            if data == b"":
                return
            if data is None:
                if self._outbox:
                    continue
                if silent:
                    return
                silent = True
                self._connection.send(frame(Opcode.PING, b""))
                continue
            silent = False
            for final, opcode, payload in self._frames.feed(data):
                if opcode is Opcode.CLOSE:
                    self._connection.send(_close_answer(payload))
                    return
                if opcode is Opcode.PING:
                    self._connection.send(frame(Opcode.PONG, payload))
                elif opcode is not Opcode.PONG:
                    yield from self._piece(opcode, payload, final=final)

    def _empty_outbox(self) -> bool:
        """Sends what waits; False when a close frame was among it: nothing may follow that."""
        while self._outbox:
            data = self._outbox.popleft()
            self._connection.send(data)
            if data[0] & 0x0F == Opcode.CLOSE:
                return False
        return True

    def _piece(self, opcode: Opcode, payload: bytes, *, final: bool) -> Iterator[str | bytes]:
        """A message may come in several frames (section 5.4)."""
        if (opcode is Opcode.CONTINUATION) != (self._kind is not None):
            raise ProtocolError(CloseCode.PROTOCOL_ERROR, "pieces of a message are out of order")
        self._kind = self._kind or opcode
        self._pieces += payload
        if len(self._pieces) > MAX_MESSAGE:
            raise ProtocolError(CloseCode.TOO_BIG, f"at most {MAX_MESSAGE} bytes")
        if final:
            kind, whole = self._kind, bytes(self._pieces)
            self._kind = None
            self._pieces.clear()
            yield _text(whole) if kind is Opcode.TEXT else whole


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ProtocolError(CloseCode.INVALID_DATA, "text is UTF-8") from None


def _close(code: int, reason: str = "") -> bytes:
    return frame(Opcode.CLOSE, struct.pack("!H", code) + reason.encode()[:123])


def _close_answer(payload: bytes) -> bytes:
    """The peer's own code comes back (section 5.5.1), if it is one that may be sent (section 7.4)."""
    if not payload:
        return frame(Opcode.CLOSE, b"")
    code = int.from_bytes(payload[:2], "big")
    defined = 1000 <= code <= 1014 and code not in {1004, 1005, 1006}
    if len(payload) == 1 or not (defined or 3000 <= code <= 4999):
        raise ProtocolError(CloseCode.PROTOCOL_ERROR, "no such close code")
    _text(payload[2:])
    return _close(code)
