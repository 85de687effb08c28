"""Reads along in a service's refusal while it passes: whether it did not know its host, and who is told then."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from proxy_addons.front import blocked_host
from proxy_addons.front.blocked_host import Asked
from proxy_addons.front.chunks import Chunks
from proxy_addons.front.exchange import CHUNKED, Asker, Exchange, Request, Response
from proxy_addons.site import Site

if TYPE_CHECKING:
    from proxy_addons.view import Current

_log = logging.getLogger(__name__)

HEADER: Final = b"X-Stores-Hint"

#: Told the name of a service and what to set in it; as often as it refuses.
Advise = Callable[[str, str], None]


class Refusals:
    """Who asks a service, and may be refused by it."""

    def __init__(self, current: Current, advise: Advise) -> None:
        self._current = current
        self._advise = advise

    def overheard(self, request: Request, response: Response, asker: Asker) -> Asker:
        """The asker of a refused request, or one in its place that reads along."""
        if response.tunnel or any(name.lower() == b"content-encoding" for name, _ in response.fields):
            return asker
        return _Overhearing(asker, lambda text: self.hint(request, text))

    def hint(self, request: Request, text: bytes) -> str:
        """What to set, if `text` is such a refusal; the service's people are told, too."""
        try:
            return self._advice(request, text)
        except Exception:  # noqa: BLE001 - the answer must pass, whatever happens to who reads along
            _log.exception("A refusal cannot be read")
            return ""

    def _advice(self, request: Request, text: bytes) -> str:
        try:
            scheme = "https" if request.client.secure else "http"
            site = Site.of_authority(scheme, (request.host or b"").decode("ascii"))
        except ValueError:
            return ""
        view = self._current.view
        path = request.target.decode("latin-1")
        advice = blocked_host.advice(Asked(site.host, view.domain_of(site.host), path), text)
        service = view.decide(site).service
        if advice and service is not None:
            self._advise(service.name, advice)
        return advice


class _Overhearing:
    """An asker in another's place (`exchange.Asker`): what comes goes on to that one, byte by byte."""

    __slots__ = ("_asker", "_chunks", "_done", "_hint", "_text", "framed")

    def __init__(self, asker: Asker, hint: Callable[[bytes], str]) -> None:
        self.framed = asker.framed
        self._asker = asker
        self._hint = hint
        self._text = b""
        self._done = False
        self._chunks: Chunks | None = None

    @property
    def exchange(self) -> Exchange | None:
        """The other's."""
        return self._asker.exchange

    @exchange.setter
    def exchange(self, exchange: Exchange | None) -> None:
        self._asker.exchange = exchange

    def on_interim(self, response: Response) -> None:
        """Goes on."""
        self._asker.on_interim(response)

    def on_response(self, response: Response, data: bytes, ended: bool) -> None:  # noqa: FBT001 - `exchange.Asker`'s
        """Goes on, with the hint, if what came with the head is enough to tell."""
        if response.length == CHUNKED and self.framed:
            self._chunks = Chunks()
        hint = self._hear(data, ended)
        if hint:
            response.fields.append((HEADER, hint.encode()))
            if response.raw:
                response.raw += b"%b: %b\r\n" % response.fields[-1]
        self._asker.on_response(response, data, ended)

    def on_body(self, data: bytes, ended: bool) -> None:  # noqa: FBT001 - `exchange.Asker`'s
        """Goes on."""
        self._asker.on_body(data, ended)
        self._hear(data, ended)

    def on_abort(self) -> None:
        """Goes on."""
        self._asker.on_abort()

    def hold_body(self) -> None:
        """Goes on."""
        self._asker.hold_body()

    def resume_body(self) -> None:
        """Goes on."""
        self._asker.resume_body()

    def _hear(self, data: bytes, ended: bool) -> str:  # noqa: FBT001 - as above
        """The hint, once: as soon as there is enough text to tell, which mostly is at once."""
        if self._done:
            return ""
        if self._chunks is not None:
            pieces: list[bytes] = []
            self._chunks.read(data, pieces)
            data = b"".join(pieces)
        self._text += data[: blocked_host.MOST - len(self._text)]
        self._done = ended or len(self._text) >= blocked_host.MOST
        return self._hint(self._text) if self._done else ""
