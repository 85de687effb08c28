"""What the gateway answers itself below ``/.stores/`` of every service's host: the page's button, script and events."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from typing import TYPE_CHECKING

from mitmproxy.http import Response

from procman.errors import StoresError
from procman.routes import Route
from procman.snapshot import ServiceStatus
from procman.state import ALIVE, AT_REST, State
from proxy_addons.decision import Decision, decide, decision_of
from proxy_addons.fallback import button
from proxy_addons.fallback.tail import Tail
from proxy_addons.fallback.words import PAGES
from proxy_addons.mitm.stream import CHUNK, TAIL
from proxy_addons.problem import Code, Problem
from proxy_addons.sleep.starts import Starts
from proxy_addons.supervisor import Supervisor
from proxy_addons.view import Current

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

#: Seconds for a start to be under way before its page is shown: it would else say "stopped" once more.
_BEGUN = 1.0
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class ReservedPath:
    """No service sees these requests, be it local or remote."""

    def __init__(self, current: Current, supervisor: Supervisor, starts: Starts) -> None:
        self._current = current
        self._supervisor = supervisor
        self._starts = starts

    async def requestheaders(self, flow: HTTPFlow) -> None:
        """After the routing, which names the service."""
        decision = decision_of(flow)
        path = flow.request.path.partition("?")[0]
        if decision is None or decision.service is None or not path.startswith(button.RESERVED):
            return
        here = dataclasses.replace(decision, route=Route.FALLBACK, upstreams=(), remote=None)
        decide(flow, here)
        wanted = {button.START: "POST", button.SCRIPT: "GET", button.EVENTS: "GET"}.get(path)
        if wanted is None:
            flow.response = _text(404, "The gateway has nothing here.")
        elif flow.request.method != wanted:
            flow.response = _text(405, f"Only {wanted}.", Allow=wanted)
        elif path == button.SCRIPT:
            flow.response = Response.make(200, _script(), {"Content-Type": "text/javascript", **_HEADERS})
        elif path == button.EVENTS:
            self._tell(flow, decision.service)
        else:
            await self._press(flow, here, decision.service)

    async def _press(self, flow: HTTPFlow, decision: Decision, service: ServiceStatus) -> None:
        refused = button.refusal(flow.request, decision.site)
        if refused:
            decide(flow, decision.failed(Problem(Code.NOT_PRESSED, refused)))
            return  # to the page, which has a button of its own
        start = self._starts.begin(service.name, again=service.state in ALIVE or service.state is State.BACKOFF)
        try:
            await asyncio.wait_for(self._begun(service, start), _BEGUN)
        except TimeoutError:
            pass
        except StoresError as error:
            if _rests(self._current.service(service.name)):
                decide(flow, decision.failed(Problem(Code.NOT_STARTED, f"{error.message} {error.hint}".strip())))
                return
        back = button.way_back(flow.request)
        flow.response = Response.make(303, b"", {"Location": back, **_HEADERS})

    async def _begun(self, service: ServiceStatus, start: asyncio.Task[None]) -> None:
        while not start.done() and self._current.service(service.name) == service:
            told = asyncio.ensure_future(self._current.next())
            try:
                await asyncio.wait({told, start}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                told.cancel()
        if start.done():
            start.result()

    def _tell(self, flow: HTTPFlow, service: ServiceStatus) -> None:
        if flow.request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            flow.response = _text(403, "Only the page of this host.")
            return
        flow.metadata[TAIL] = Tail(self._current, self._supervisor, service.name)
        flow.response = Response.make(200, b"", {"Content-Type": "text/event-stream", **_HEADERS})
        if flow.client_conn.alpn != b"h2":
            flow.response.headers["Transfer-Encoding"] = "chunked"
        del flow.response.headers["Content-Length"]

    async def tail(self, flow: HTTPFlow) -> None:
        """The next piece of an answer that has no end (`mitm.stream.TailHook`)."""
        tail = flow.metadata[TAIL]
        if isinstance(tail, Tail):
            flow.metadata[CHUNK] = await tail.next()

    async def tail_over(self, flow: HTTPFlow) -> None:
        """Whoever listened has left (`mitm.stream.TailOverHook`)."""
        tail = flow.metadata[TAIL]
        if isinstance(tail, Tail):
            await tail.close()


def _rests(service: ServiceStatus | None) -> bool:
    return service is None or service.state in AT_REST - {State.FAILED}


def _text(status: int, text: str, **headers: str) -> Response:
    return Response.make(status, f"{text}\n", {"Content-Type": "text/plain; charset=utf-8", **_HEADERS, **headers})


@functools.cache
def _script() -> bytes:
    return (PAGES / "page.js").read_bytes()
