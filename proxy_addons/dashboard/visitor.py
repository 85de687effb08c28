"""One request to the dashboard, as the front's askers know an upstream (`front.exchange.Exchange`).

So the page needs no port, no connection and none of mitmproxy's time, and speaks whatever the front speaks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, unquote

from proxy_addons.dashboard.message import Request, Response
from proxy_addons.events.refusal import PROBLEM, RefusalError
from proxy_addons.front import policy
from proxy_addons.front.chunks import Chunks, chunk, last_chunk
from proxy_addons.front.exchange import CHUNKED, Asker
from proxy_addons.front.exchange import Request as FrontRequest
from proxy_addons.front.exchange import Response as FrontResponse

_log = logging.getLogger(__name__)

#: Bytes of a request's body. Nobody sends more than a form.
LARGEST_BODY: Final = 256 * 1024

Answer = Callable[[Request], Awaitable[Response]]


class Visitor:
    """Collects a request, has it answered, and tells its asker."""

    def __init__(self, request: FrontRequest, asker: Asker, answer: Answer) -> None:
        self._request = request
        self._asker: Asker | None = asker
        self._answer = answer
        self._pieces: list[bytes] = []
        self._size = 0
        self._chunks = Chunks() if request.length == CHUNKED and request.framed else None
        self._task: asyncio.Task[None] | None = None
        self._flows = asyncio.Event()
        self._flows.set()
        #: Told when there is nothing more to do.
        self.on_end: Callable[[Visitor], None] = lambda _: None
        asker.exchange = self

    def send(self, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Exchange.send`
        """More of the request's body. The answer begins later, never within this call."""
        if self._task is not None:
            return
        fault = None
        try:
            if self._chunks is None:
                self._pieces.append(data)
            else:
                self._chunks.read(data, self._pieces)
        except ValueError as error:
            fault = RefusalError(400, f"The body is not what it says: {error}")
        self._size += len(data)
        if self._size > LARGEST_BODY:
            fault = RefusalError(413, f"At most {LARGEST_BODY} bytes")
        if fault is not None or ended:
            self._task = asyncio.get_running_loop().create_task(self._run(fault))
            self._task.add_done_callback(lambda _: self.on_end(self))

    def abort(self) -> None:
        """The client is gone."""
        self._asker = None
        if self._task is not None:
            self._task.cancel()
        self.on_end(self)

    def end(self) -> None:
        """The gateway ends: what has no end of its own ends now."""
        if self._task is not None:
            self._task.cancel()

    def pause(self) -> None:
        """The client does not read."""
        self._flows.clear()

    def resume(self) -> None:
        """It reads again."""
        self._flows.set()

    async def _run(self, fault: RefusalError | None) -> None:
        # A task may begin at once (mitmproxy sets an eager factory), and the front's `ask` has to return first.
        await asyncio.sleep(0)
        response = _refused(fault) if fault is not None else await self._respond()
        if response.stream is None:
            self._tell(response)
        else:
            await self._stream(response, response.stream)

    async def _respond(self) -> Response:
        try:
            return await self._answer(self._complete())
        except RefusalError as error:
            return _refused(error)
        except Exception:  # noqa: BLE001 - one broken answer must not end the gateway
            _log.error("A fault of the dashboard itself, please report it:\n%s", traceback.format_exc())
            return _refused(RefusalError(500, "A fault of the dashboard itself. Which one: stores logs gateway"))

    def _complete(self) -> Request:
        request = self._request
        path, _, query = request.target.decode("latin-1").partition("?")
        headers: dict[str, str] = {}
        for name, value in request.fields:
            headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
        return Request(
            request.method.decode("latin-1"),
            unquote(path),
            dict(parse_qsl(query, keep_blank_values=True)),
            headers,
            (request.host or b"").decode("latin-1").lower(),
            request.client,
            b"".join(self._pieces),
        )

    def _tell(self, response: Response) -> None:
        asker, self._asker = self._asker, None
        if asker is None:
            return
        asker.exchange = None
        head = _head(response, len(response.body))
        bare = self._request.method == b"HEAD" or response.status in {204, 304}
        if bare:
            head.length = 0
        asker.on_response(head, b"" if bare else response.body, True)

    async def _stream(self, response: Response, pieces: AsyncIterator[bytes]) -> None:
        asker = self._asker
        if asker is None or self._request.method == b"HEAD":
            self._tell(response)
            return
        asker.on_response(_head(response, CHUNKED), b"", False)
        try:
            async with contextlib.aclosing(pieces) as opened:  # type: ignore[type-var]  # every stream here is a generator
                async for piece in opened:
                    await self._flows.wait()
                    if piece and self._asker is not None:
                        asker.on_body(chunk(piece) if asker.framed else piece, False)
        except Exception:  # noqa: BLE001 - as above; its head is out already
            _log.error("A fault of the dashboard itself, please report it:\n%s", traceback.format_exc())
        finally:
            if self._asker is not None:
                self._asker = None
                asker.exchange = None
                asker.on_body(last_chunk([]) if asker.framed else b"", True)


def _refused(error: RefusalError) -> Response:
    return Response(error.status, error.body(), {"Content-Type": PROBLEM, **error.headers})


def _head(response: Response, length: int) -> FrontResponse:
    fields = {
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        **response.headers,
    }
    listed = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]
    if length >= 0 and response.status not in {204, 304}:
        listed.append((b"Content-Length", b"%d" % length))
    listed.append((policy.ROUTE, b"fallback"))
    head = FrontResponse(response.status, HTTPStatus(response.status).phrase.encode(), listed, length)
    head.chunked = length == CHUNKED
    return head
