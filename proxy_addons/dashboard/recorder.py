"""Notes the requests that pass while somebody looks: a bounded number of them, with who called whom."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

from procman.routes import Route
from proxy_addons.api_gateway.routes import HOST as API_GATEWAY
from proxy_addons.dashboard import entry as entries
from proxy_addons.dashboard.callers import Callers
from proxy_addons.dashboard.edges import Edges
from proxy_addons.dashboard.entry import BROWSER, Entry
from proxy_addons.dashboard.host import NAME
from proxy_addons.front.client import Client
from proxy_addons.front.exchange import Request
from proxy_addons.site import Site
from proxy_addons.view import Current, View

#: Requests that are kept; at half a kilobyte each.
MOST: Final = 2000
#: Hosts whose service is remembered.
_REMEMBERED: Final = 1024
_BROWSER: Final = b"Mozilla/"


class Recorder:
    """One for all who look. `begin` and `end` are called for each request, on the loop."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._hosts: dict[tuple[bytes, bool], str | None] = {}
        self._view: View | None = None
        self.callers = Callers()
        self.clear()

    def clear(self) -> None:
        """Forgets all of it."""
        self._number = 0
        self.since = time.time()
        self.open: dict[int, Entry] = {}
        self.ended: deque[Entry] = deque()
        self._traces: dict[str, list[Entry]] = {}
        #: How many have ended in all.
        self.count = 0
        self.edges = Edges()
        self.callers.clear()

    def now(self) -> float:
        """By the clock of `Entry.began`; uvloop's own counts milliseconds."""
        return time.perf_counter()

    def of_trace(self, trace: str) -> list[Entry]:
        """Its requests, in the order in which they began."""
        return list(self._traces.get(trace, ()))

    def begin(self, request: Request) -> Entry | None:
        """Notes a request, and gives it a trace where it has none. None: it is none of anybody's business."""
        service = self._service(request)
        if service is None or (service and request.method == b"CONNECT"):  # what is in a tunnel to us is noted itself
            return None
        if service == API_GATEWAY:
            service = self._behind(request.target) or service
        self._number += 1
        fields = {name.lower(): value for name, value in request.fields}
        trace = entries.trace_of(fields.get(b"traceparent", b""))
        entry = Entry(
            self._number,
            time.time(),
            time.perf_counter(),
            request.method.decode("latin-1"),
            "https" if request.client.secure else "http",
            (request.host or b"").decode("latin-1")[: entries.LONGEST],
            entries.shown_path(request.target),
            service,
            *(trace or _traced(request)),
        )
        if not (trace and self._by_trace(entry)) and not self._by_words(entry, fields):
            self._by_process(entry, request.client)
        self.open[entry.number] = entry
        self._traces.setdefault(entry.trace, []).append(entry)
        return entry

    def end(self, entry: Entry) -> None:
        """It is over, in whichever way."""
        if self.open.pop(entry.number, None) is None:
            return
        entry.ended = time.perf_counter()
        self.ended.append(entry)
        self.count += 1
        self.edges.add(entry)
        if len(self.ended) > MOST:
            oldest = self.ended.popleft()
            left = self._traces[oldest.trace]
            left.remove(oldest)
            if not left:
                del self._traces[oldest.trace]

    # Who

    def _service(self, request: Request) -> str | None:
        """Whose host it is. The page's own requests are not shown on it."""
        view = self._current.view
        if view is not self._view:
            self._view = view
            self._hosts.clear()
        key = (request.host or b"", request.client.secure)
        if key not in self._hosts:
            if len(self._hosts) >= _REMEMBERED:
                self._hosts.clear()
            self._hosts[key] = _owner(view, *key)
        return self._hosts[key]

    def _behind(self, target: bytes) -> str:
        """The service that a path of the API gateway leads to; a path in an odd spelling leads to none here."""
        segments = target.decode("latin-1").partition("?")[0].strip("/").split("/")
        found = self._current.view.api_routes.find(tuple(segments))
        return found.name if found is not None else ""

    def _by_trace(self, entry: Entry) -> bool:
        """The service that got this trace before handed it on: the newest one that has not answered yet, at best."""
        known = self._traces.get(entry.trace)
        if not known:
            return False
        before = next((one for one in known if one.span == entry.span), None)
        waiting = [one for one in known if not one.ended]
        parent = before or max(waiting or known, key=lambda one: one.began)
        entry.caller, entry.how, entry.parent = parent.service, "trace", parent.number
        return True

    def _by_words(self, entry: Entry, fields: dict[bytes, bytes]) -> bool:
        """What a browser says of itself. A program's words are not taken for its name: its process is looked at."""
        if not fields.get(b"user-agent", b"").startswith(_BROWSER):
            return False
        entry.caller, entry.how = BROWSER, "agent"
        page = fields.get(b"origin") or fields.get(b"referer") or b""
        scheme, _, rest = page.partition(b"://")
        host = rest.partition(b"/")[0]
        if host and host.decode("latin-1").lower() != entry.host:
            service = _owner(self._current.view, host, scheme == b"https")
            if service:
                entry.caller, entry.how = service, "page"
        return True

    def _by_process(self, entry: Entry, client: Client) -> None:
        name = self.callers.service_of(client)
        if name:
            entry.caller, entry.how = name, "process"


def _traced(request: Request) -> tuple[str, str]:
    """Adds a ``traceparent`` to the request's head, in whichever form it goes on."""
    trace, span = entries.new_trace()
    value = f"00-{trace}-{span}-01".encode()
    request.fields.append((b"traceparent", value))
    if request.raw:
        request.raw = request.raw[:-2] + b"traceparent: " + value + b"\r\n\r\n"
    return trace, span


def _owner(view: View, host: bytes, secure: bool) -> str | None:  # noqa: FBT001 - part of a key
    """The service's name, or what stands in its place; empty for a stranger's host, None for the page's own."""
    try:
        site = Site.of_authority("https" if secure else "http", host.decode("latin-1"))
    except ValueError:
        return ""
    decision = view.decide(site)
    if decision.service is not None:
        return decision.service.name
    if decision.relative == NAME:
        return None
    return decision.relative if decision.route is Route.LOCAL or decision.relative == API_GATEWAY else ""
