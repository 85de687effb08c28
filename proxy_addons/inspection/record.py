"""One request that was seen: mitmproxy's flow, as its client knows it, and what a flow has no room for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from proxy_addons.inspection.body import MOST, Body
from proxy_addons.remote import content_coding

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow, Message
    from mitmproxy.websocket import WebSocketMessage

#: Messages of one WebSocket, the newest; and bytes of them together.
MOST_MESSAGES: Final = 500
MOST_MESSAGE_BYTES: Final = 1024 * 1024
#: Bytes that a body may unfold to for mitmproxy's filters and exports, which unfold it without a limit of their own.
_UNFOLDED: Final = 1024 * 1024
#: Bytes of memory that a record, a header field and a message cost beside their contents, about.
_FIXED: Final = 6 * 1024
_FIXED_FIELD: Final = 150
_FIXED_MESSAGE: Final = 300


@dataclass
class Sent:
    """What the service, or the remote, was sent."""

    to: str
    headers: list[tuple[str, str]]


@dataclass
class Record:
    """`flow` is ours alone: no addon changes it, and its bodies are copies. `target`: the name that is inspected."""

    flow: HTTPFlow
    target: str
    service: str
    route: str
    request_body: Body = field(default_factory=Body)
    response_body: Body = field(default_factory=Body)
    sent: Sent | None = None
    replay_of: str = ""
    done: bool = False
    notes: list[str] = field(default_factory=list)
    messages: int = 0
    _message_bytes: int = 0

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        flow = self.flow
        kept = len(flow.request.url) + _size(flow.request) + (_size(flow.response) if flow.response else 0)
        if flow.websocket is not None:
            kept += sum(len(message.content) + _FIXED_MESSAGE for message in flow.websocket.messages)
        return _FIXED + kept + self.request_body.size + self.response_body.size

    @property
    def whole_request(self) -> bool:
        """Whether the request's body was kept whole, so that it can be sent again."""
        return not self.request_body.cut and self.flow.request.timestamp_end is not None

    def current(self) -> HTTPFlow:
        """The flow, with as much of its bodies as has come."""
        for message, body in ((self.flow.request, self.request_body), (self.flow.response, self.response_body)):
            if message is not None and body.kept is None:
                # half of what is coded cannot be decoded, and its head says that it could
                message.data.content = b"" if "content-encoding" in message.headers else body.data
        return self.flow

    def end_request(self) -> None:
        """All of the request has come, or more of it never will."""
        self._settle(self.flow.request, self.request_body, "request's body")

    def end(self) -> None:
        """Nothing more will come."""
        if self.done:
            return
        self.end_request()
        if self.flow.response is not None:
            self._settle(self.flow.response, self.response_body, "answer's body")
        self.done = True
        self.flow.comment = "\n".join(self.notes)

    def add_message(self, message: WebSocketMessage) -> None:
        """One more of a WebSocket's; the oldest go."""
        assert self.flow.websocket is not None
        kept = self.flow.websocket.messages
        size = len(message.content)
        (self.request_body if message.from_client else self.response_body).total += size
        copy = type(message)(message.type, message.from_client, message.content[:MOST], message.timestamp)
        kept.append(copy)
        self.messages += 1
        self._message_bytes += len(copy.content)
        while len(kept) > MOST_MESSAGES or (self._message_bytes > MOST_MESSAGE_BYTES and len(kept) > 1):
            self._message_bytes -= len(kept.pop(0).content)

    @property
    def remarks(self) -> list[str]:
        """What is not as it was, in words."""
        dropped = self.messages - len(self.flow.websocket.messages) if self.flow.websocket else 0
        return [*self.notes, *([f"The first {dropped} messages are not kept"] if dropped else [])]

    def _settle(self, message: Message, body: Body, what: str) -> None:
        if body.kept is not None:
            return
        cut, total = body.cut, body.total
        data = message.data.content = body.seal()
        coding = ", ".join(message.headers.get_all("content-encoding"))
        if self.flow.websocket is not None or not total:
            return
        if cut:
            self.notes.append(f"The {what} is cut: {len(data)} of {total} bytes are kept")
        if coding:
            unfolded, whole = _unfold(coding, data)
            if cut or not whole:
                # mitmproxy would try, without a limit; what is here is plain
                del message.headers["content-encoding"]
                message.data.content = unfolded
                self.notes.append(f"The {what} came as {coding}, and is kept as far as that could be taken off")


def _size(message: Message) -> int:
    return len(message.data.content or b"") + sum(
        len(name) + len(value) + _FIXED_FIELD for name, value in message.headers.fields
    )


def _unfold(coding: str, data: bytes) -> tuple[bytes, bool]:
    """The beginning of what `data` unfolds to, and whether that is all."""
    decode = content_coding.decoder(coding)
    if decode is None:
        return data, False
    out = bytearray()
    try:
        for last in (data, b""):
            for piece in decode(last):
                out += piece
                if len(out) > _UNFOLDED:
                    return bytes(out[:_UNFOLDED]), False
    except ValueError:
        return bytes(out), False
    return bytes(out), True
