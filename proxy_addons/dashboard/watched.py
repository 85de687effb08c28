"""Stands between every asker and the front while somebody looks; while nobody does, it is not there at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy_addons.dashboard.entry import BROKEN_OFF, LEFT, Entry
from proxy_addons.front import policy

if TYPE_CHECKING:
    from proxy_addons.dashboard.recorder import Recorder
    from proxy_addons.front.exchange import Asker, Exchange, Front, Request, Response


class Watching:
    """The front, as askers know it (`exchange.Front`)."""

    def __init__(self, front: Front, recorder: Recorder) -> None:
        self._front = front
        self._recorder = recorder

    def ask(self, request: Request, asker: Asker, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `exchange.Front`
        """Has `request` answered, and notes what becomes of it."""
        entry = self._recorder.begin(request)
        if entry is not None:
            entry.sent = len(data)
            asker = Watched(asker, entry, self._recorder)
        self._front.ask(request, asker, data, ended)


class Watched:
    """Asker to the upstream, exchange to the client: hands everything on, and keeps the time."""

    __slots__ = ("_asker", "_entry", "_exchange", "_recorder")

    def __init__(self, asker: Asker, entry: Entry, recorder: Recorder) -> None:
        self._asker = asker
        self._entry = entry
        self._exchange: Exchange | None = None
        self._recorder = recorder

    # To the client (`exchange.Asker`)

    @property
    def exchange(self) -> Exchange | None:
        """The upstream's side; the client is given this one in its place."""
        return self._exchange

    @exchange.setter
    def exchange(self, exchange: Exchange | None) -> None:
        self._exchange = exchange
        self._asker.exchange = self if exchange is not None else None

    @property
    def framed(self) -> bool:
        """As the client wants it."""
        return self._asker.framed

    @framed.setter
    def framed(self, framed: bool) -> None:
        self._asker.framed = framed

    def on_interim(self, response: Response) -> None:
        """1xx."""
        self._asker.on_interim(response)

    def on_response(self, response: Response, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Asker`
        """The answer's head."""
        entry = self._entry
        entry.first = self._recorder.now()
        entry.status = response.status
        entry.received = len(data)
        entry.route = next((v.decode() for k, v in reversed(response.fields) if k == policy.ROUTE), "")
        if ended:
            self._end()
        self._asker.on_response(response, data, ended)

    def on_body(self, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Asker`
        """Some of its body."""
        self._entry.received += len(data)
        if ended:
            self._end()
        self._asker.on_body(data, ended)

    def on_abort(self) -> None:
        """Its end will not come."""
        self._end(BROKEN_OFF)
        self._asker.on_abort()

    def hold_body(self) -> None:
        """The upstream takes no more."""
        self._asker.hold_body()

    def resume_body(self) -> None:
        """It does again."""
        self._asker.resume_body()

    # To the upstream (`exchange.Exchange`)

    def send(self, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Exchange.send`
        """More of the request's body."""
        self._entry.sent += len(data)
        if self._exchange is not None:
            self._exchange.send(data, ended)

    def abort(self) -> None:
        """The client is gone."""
        self._end(LEFT)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abort()

    def pause(self) -> None:
        """The client does not read."""
        if self._exchange is not None:
            self._exchange.pause()

    def resume(self) -> None:
        """It reads again."""
        if self._exchange is not None:
            self._exchange.resume()

    def _end(self, error: str = "") -> None:
        self._entry.error = error
        self._recorder.end(self._entry)
