"""Sends a request once more, as it was or edited: through the whole gateway, as if its client had."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from proxy_addons.front import policy
from proxy_addons.front.client import Client, Tls
from proxy_addons.front.exchange import Asker, Exchange, Request, Response
from proxy_addons.inspection.masked import fields
from proxy_addons.inspection.recorder import REPLAY, Recorder

if TYPE_CHECKING:
    from proxy_addons.inspection.record import Record

#: Asks mitmproxy, not the fast path.
Ask = Callable[[Request, Asker, bytes, bool], None]

#: Seconds to wait for the answer's end; and after which an answer that has none is left.
PATIENCE: Final = 10.0
_LONGEST: Final = 60.0
#: Of the connection that it came on, or made anew.
_OF_THE_CONNECTION: Final = frozenset(
    {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length", "expect"}
)
# RFC 9110, sections 5.6.2 and 5.5; RFC 9112, section 3.2.
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*")
_TARGET: Final = re.compile(r"/[\x21-\x7e]*")


class ReplayError(ValueError):
    """It cannot be sent again like that."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What shall be another than it was; None and empty: nothing."""

    method: str | None = None
    path: str | None = None
    set: Mapping[str, str] = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    body: bytes | None = None


class Replay:
    """`ask` is the front's way to mitmproxy."""

    def __init__(self, recorder: Recorder, ask: Ask) -> None:
        self.recorder = recorder
        self._ask = ask
        self._running: set[_Nobody] = set()

    async def send(self, record: Record, edit: Edit) -> Record | None:
        """Returns the new record once it has its answer, or `PATIENCE` is over. Raises `ReplayError`."""
        word, heard = self.recorder.expect_replay(record.flow.id)
        try:
            request, body = _made(record, edit, word)
            nobody = _Nobody()
            self._running.add(nobody)
            nobody.ended.add_done_callback(lambda _: self._running.discard(nobody))
            self._ask(request, nobody, body, True)
            asyncio.get_running_loop().call_later(_LONGEST, nobody.leave)
            await asyncio.wait({nobody.ended}, timeout=PATIENCE)
        finally:
            self.recorder.forget_replay(word)
        return self.recorder.store.get(heard[0]) if heard else None


class _Nobody:
    """Asks, and does not listen: the recorder does."""

    framed = False

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_interim(self, response: Response) -> None:
        pass

    def on_response(self, response: Response, data: bytes, ended: bool) -> None:  # noqa: ARG002, FBT001 - as in `Asker`
        self.on_body(data, ended)

    def on_body(self, data: bytes, ended: bool) -> None:  # noqa: ARG002, FBT001 - as in `Asker`
        if ended:
            self.on_abort()

    def on_abort(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def hold_body(self) -> None:
        pass

    def resume_body(self) -> None:
        pass

    def leave(self) -> None:
        if not self.ended.done() and self.exchange is not None:
            self.exchange.abort()
            self.exchange = None
        self.on_abort()


def _made(record: Record, edit: Edit, word: str) -> tuple[Request, bytes]:
    was = record.flow.request
    if record.messages or was.headers.get("upgrade"):
        raise ReplayError("A WebSocket cannot be sent again: it takes two to talk")
    if edit.body is None and not record.whole_request:
        raise ReplayError("Its body was not kept whole; give one")
    method, path = edit.method or was.method, edit.path or was.path
    if not _TOKEN.fullmatch(method) or method == "CONNECT":
        raise ReplayError(f"{method!r} is no method")
    if not _TARGET.fullmatch(path):
        raise ReplayError(f"{path!r} is no path: it begins with / and has no spaces")
    body = (was.data.content or b"") if edit.body is None else edit.body
    listed = _fields(record, edit, body)
    listed.append((REPLAY.encode(), word.encode()))
    host = [value for name, value in listed if name.lower() == b"host"]
    if len(host) != 1:
        raise ReplayError("A request needs one Host")
    client = Client(("127.0.0.1", 0), ("127.0.0.1", was.port), _tls(record))
    request = Request(client, method.encode(), path.encode(), listed, host[0])
    request.length = len(body)
    policy.examine(request)
    return request, body


def _fields(record: Record, edit: Edit, body: bytes) -> list[tuple[bytes, bytes]]:
    for name, value in edit.set.items():
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ReplayError(f"{name!r} is no name of a header, or its value has a line end in it")
    replaced = {name.lower() for name in (*edit.set, *edit.remove)} | _OF_THE_CONNECTION
    if edit.body is not None:
        replaced.add("content-encoding")
    kept = [(name, value) for name, value in fields(record.flow.request.headers) if name.lower() not in replaced]
    chosen = {name: value for name, value in edit.set.items() if name.lower() not in _OF_THE_CONNECTION}
    pairs = [*kept, *chosen.items()]
    if body or record.flow.request.headers.get("content-length"):
        pairs.append(("Content-Length", str(len(body))))
    return [
        (name.encode("utf-8", "surrogateescape"), value.encode("utf-8", "surrogateescape")) for name, value in pairs
    ]


def _tls(record: Record) -> Tls | None:
    if record.flow.request.scheme != "https":
        return None
    known = record.flow.client_conn
    return Tls(known.tls_version or "TLSv1.3", known.cipher or "", record.flow.request.pretty_host, "http/1.1")
