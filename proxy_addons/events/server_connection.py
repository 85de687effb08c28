"""One connection of a client: heads are parsed by llhttp, bodies are bounded, answers may be streams."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
from collections.abc import AsyncIterator
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import httptools

from proxy_addons.events.http_message import Handler, Request, Response
from proxy_addons.events.refusal import PROBLEM, RefusalError

_log = logging.getLogger(__name__)

#: The largest body, in bytes. The CloudEvents specification (section 5) wants 64 KiB to pass everywhere.
LARGEST_BODY = 1024 * 1024
_LARGEST_HEAD = 64 * 1024
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"expect"})
#: Seconds that a request may take to arrive.
_PATIENCE = 30.0

#: How long a client whose request was refused may go on sending before the connection is closed, in seconds.
_LINGER = 1.0


class Connection(asyncio.Protocol):
    """One connection of a client; its requests are answered one after another."""

    def __init__(self, handler: Handler, connections: set[Connection]) -> None:
        """`connections`: it is one of them for as long as it is open."""
        self._handler = handler
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: list[Request] = []
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._streaming = self._ending = False
        #: What ends the connection, once everything before it is answered.
        self._refusal: RefusalError | None = None
        self._begin()

    def _begin(self) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()
        self._head_size = 0
        self._has_head = False

    def connection_made(self, transport: Any) -> None:
        """A client is there. uvloop's transports are no subclasses of asyncio's."""
        self._transport: asyncio.Transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """It has gone: nobody is left to be answered."""
        self._connections.discard(self)
        del self._parser  # it knows us, and we it: a megabyte of body would wait for who looks for such circles
        self._stop_timer()
        self._writable.set()
        if self._task:
            self._task.cancel()

    def pause_writing(self) -> None:
        """The client does not read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It does again."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """Bytes of one or several requests."""
        if self._ending:
            return
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(
                _PATIENCE, self._refuse, 408, "The request took too long"
            )
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._ending = (
                True  # the offer is passed over and the request answered (RFC 9110, section 7.8); no more comes
            )
        except httptools.HttpParserError as error:
            self._refuse(400, f"Not HTTP/1.1: {error}")

    def on_message_begin(self) -> None:
        """llhttp: a request begins."""
        self._begin()

    def on_url(self, url: bytes) -> None:
        """llhttp: the target, perhaps in parts."""
        self._url += url
        self._grown(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """llhttp: a field; after the body, a trailer, which is none of the head's (RFC 9110, section 6.5.1)."""
        if not self._has_head:
            self._headers.append((name.lower(), value))
        self._grown(len(name) + len(value))

    def _grown(self, size: int) -> None:
        self._head_size += size
        if self._head_size > _LARGEST_HEAD:
            self._refuse(431, f"At most {_LARGEST_HEAD} bytes of headers")

    def on_headers_complete(self) -> None:
        """llhttp: the body follows. What is too large is refused before it is sent."""
        self._has_head = True
        fields = [(name, value.lower()) for name, value in self._headers if name in _FRAMING]
        if any(name == b"content-length" and int(value) > LARGEST_BODY for name, value in fields):
            self._refuse(413, f"At most {LARGEST_BODY} bytes")
        elif any(name == b"transfer-encoding" and value != b"chunked" for name, value in fields):
            self._refuse(501, "The only Transfer-Encoding that is read here is chunked")
        elif (b"expect", b"100-continue") in fields:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        """llhttp: some of the body."""
        if len(self._body) + len(data) > LARGEST_BODY:
            self._refuse(413, f"At most {LARGEST_BODY} bytes")
        elif not self._ending:
            self._body += data

    def on_message_complete(self) -> None:
        """llhttp: the request is complete."""
        self._stop_timer()
        if self._ending:
            return
        path, _, query = self._target().partition("?")
        method = self._parser.get_method().decode()
        request = Request(method, path, dict(parse_qsl(query)), self._headers, bytes(self._body))
        self._waiting.append(request)
        keep = self._parser.should_keep_alive()
        if not keep:
            self._ending = True
        if self._task is None:
            task = asyncio.create_task(self._answer_all())
            # where tasks begin at once, as in the gateway, an answer that waits for nothing has been given by now
            self._task = None if task.done() else task
        elif len(self._waiting) > 1:
            self._transport.pause_reading()  # who asks ahead waits

    def _target(self) -> str:
        """Path and query. Who has us for a proxy sends a whole URL, whose host counts (RFC 9112, section 3.2.2)."""
        target = self._url.decode("latin-1")
        if target.lower().startswith(("http://", "https://")):
            host, _, rest = target.partition("://")[2].partition("/")
            self._headers.insert(0, (b"host", host.encode("latin-1")))
            return f"/{rest}"
        return target

    async def _answer_all(self) -> None:
        try:
            while self._waiting:
                await self._answer(self._waiting.pop(0))
            self._transport.resume_reading()
        finally:
            self._task = None
        if self._refusal:
            self._end_with(self._refusal)
        elif self._ending:
            self._transport.close()

    async def _answer(self, request: Request) -> None:
        try:
            response = await self._handler(request)
        except RefusalError as error:
            response = Response(error.status, error.body(), {"Content-Type": PROBLEM, **error.headers})
        except Exception:  # noqa: BLE001 - one broken request must not end the broker
            _log.error("A fault of the event broker itself:\n%s", traceback.format_exc())
            fault = RefusalError(500, "A fault of the event broker itself; its log says which")
            response = Response(500, fault.body(), {"Content-Type": PROBLEM})
        last = self._ending and not self._waiting and self._refusal is None
        head = request.method == "HEAD"
        self._transport.write(_head(response, last) + (b"" if head else response.body))
        if response.stream is not None and not head:
            await self._stream(response.stream)

    async def _stream(self, chunks: AsyncIterator[bytes]) -> None:
        self._streaming = True
        try:
            async with contextlib.aclosing(chunks) as pieces:  # type: ignore[type-var]  # every stream here is a generator
                async for piece in pieces:
                    self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                    await self._writable.wait()
            self._transport.write(b"0\r\n\r\n")
        finally:
            self._streaming = False

    def _refuse(self, status: int, detail: str) -> None:
        if self._ending:
            return
        self._ending = True
        self._stop_timer()
        self._refusal = RefusalError(status, detail)
        if self._task is None:
            self._end_with(self._refusal)

    def _end_with(self, error: RefusalError) -> None:
        """Closes once the client has had a moment to read.

        Closing on unread bytes would reset the connection, and it would never see why (RFC 9112, section 9.6).
        """
        response = Response(error.status, error.body(), {"Content-Type": PROBLEM})
        self._transport.write(_head(response, True) + response.body)
        with contextlib.suppress(OSError, RuntimeError):
            self._transport.write_eof()
        self._timer = asyncio.get_running_loop().call_later(_LINGER, self._transport.close)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def finish(self) -> None:
        """No further request; a stream ends here."""
        self._ending = True
        if self._task is None:
            self._transport.close()
        elif self._streaming:
            self._task.cancel()
            self._transport.close()

    def abort(self) -> None:
        """At once."""
        self._transport.abort()


def _head(response: Response, ending: bool) -> bytes:  # noqa: FBT001 - said by the name at each call
    fields: dict[str, Any] = {"Date": formatdate(usegmt=True), "Cache-Control": "no-store", **response.headers}
    if response.stream is not None:
        fields["Transfer-Encoding"] = "chunked"
    else:
        fields["Content-Length"] = len(response.body)
    if ending:
        fields["Connection"] = "close"
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}\r\n{lines}\r\n".encode("latin-1")
