"""One gRPC call on a connection that others share: a stream of HTTP/2, as an exchange."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from h2 import events
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError, StreamClosedError

from proxy_addons.front import grpc_head
from proxy_addons.front.exchange import Asker, Request, Response

if TYPE_CHECKING:
    from h2.connection import H2Connection

#: Bytes of one call that may wait for the service's credit before its client is asked to send no more.
_HIGH_WATER: Final = 256 * 1024


class Carrier(Protocol):
    """What a call needs of the connection that carries it."""

    def begun(self, call: Call, /) -> int:
        """The number of its stream. Raises ``ProtocolError`` when there are no more."""

    def ended(self, stream_id: int, /) -> None:
        """A call is over."""

    def flush(self) -> None:
        """What the protocol wants to say goes out."""


class Call:
    """One call: the exchange of its request (`exchange.Exchange`)."""

    __slots__ = (
        "_asker",
        "_connection",
        "_ended",
        "_failed",
        "_h2",
        "_held",
        "_number",
        "_paused",
        "_pieces",
        "_request",
        "_response",
        "_unread",
        "_waiting",
    )

    def __init__(
        self,
        connection: Carrier,
        h2: H2Connection,
        failed: Callable[[Request, Asker, OSError], None],
    ) -> None:
        self._connection = connection
        self._h2 = h2
        self._number = 0
        self._failed = failed
        self._request: Request | None = None
        self._asker: Asker | None = None
        self._response: Response | None = None
        #: What waits for credit, and how many bytes that is; whether it is the last of the request.
        self._pieces: collections.deque[bytes] = collections.deque()
        self._waiting = 0
        #: Bytes that came while the client did not read, for which the service gets no credit yet.
        self._unread = 0
        self._ended = self._held = self._paused = False

    # The request

    def begin(self, request: Request, head: bytes, asker: Asker, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Exchange.send`
        """Sends the head, and what is there of the body."""
        self._request, self._asker = request, asker
        asker.exchange = self
        try:
            self._number = self._connection.begun(self)
            self._h2.send_headers(self._number, list(grpc_head.fields(request, head)))
        except ProtocolError as error:  # no stream number is left, or the server has said good-bye this moment
            self.broke(ConnectionError(str(error)))
            return
        self.send(data, ended)
        self._connection.flush()

    def send(self, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `Exchange.send`
        """More of the request's body."""
        if data:
            self._pieces.append(data)
            self._waiting += len(data)
        self._ended = ended
        self.go_on()

    def go_on(self) -> None:
        """Sends what the service's credit allows."""
        try:
            while self._pieces:
                most = min(self._h2.local_flow_control_window(self._number), self._h2.max_outbound_frame_size)
                if most <= 0:
                    break
                piece = self._pieces.popleft()
                if len(piece) > most:
                    self._pieces.appendleft(piece[most:])
                    piece = piece[:most]
                self._h2.send_data(self._number, piece)
                self._waiting -= len(piece)
            if self._ended and not self._pieces:
                self._ended = False
                self._h2.end_stream(self._number)
        except ProtocolError:  # the service has answered without reading to the end; its answer is what counts
            self._pieces.clear()
            self._waiting, self._ended = 0, False
        self._connection.flush()
        self._weigh()

    def _weigh(self) -> None:
        """The client sends no more while much of what it sent still waits."""
        if self._asker is None:
            return
        if self._waiting > _HIGH_WATER:
            self.hold()
        elif self._held:
            self._held = False
            self._asker.resume_body()

    def hold(self) -> None:
        """The service does not take more for now."""
        if self._asker is not None and not self._held:
            self._held = True
            self._asker.hold_body()

    # The answer

    def take(self, event: events.Event) -> None:
        """What the service did."""
        take = self._TAKES.get(type(event))
        if take is not None and self._asker is not None:
            try:
                take(self, event, self._asker)
            except ValueError as error:
                self._reset(ErrorCodes.PROTOCOL_ERROR)
                self.broke(ConnectionError(f"the service's answer is no proper HTTP: {error}"))

    def _interim(self, event: Any, asker: Asker) -> None:
        asker.on_interim(grpc_head.response(event.headers))

    def _head(self, event: Any, asker: Asker) -> None:
        self._response = response = grpc_head.response(event.headers)
        ended = event.stream_ended is not None
        if ended:
            self._leave()
        asker.on_response(response, b"", ended)

    def _data(self, event: Any, asker: Asker) -> None:
        self._read(event.flow_controlled_length)
        if event.data:
            asker.on_body(event.data, False)

    def _trailers(self, event: Any, _: Asker) -> None:
        if self._response is not None:
            self._response.trailers += grpc_head.plain(event.headers)

    def _end(self, _: Any, asker: Asker) -> None:
        self._leave()
        asker.on_body(b"", True)

    def _broken(self, event: Any, _: Asker) -> None:
        self.broke(ConnectionError(f"the service broke the call off ({event.error_code!s})"))

    def _credit(self, _: Any, __: Asker) -> None:
        self.go_on()

    _TAKES: ClassVar[dict[type, Callable[[Call, Any, Asker], None]]] = {
        events.InformationalResponseReceived: _interim,
        events.ResponseReceived: _head,
        events.DataReceived: _data,
        events.TrailersReceived: _trailers,
        events.StreamEnded: _end,
        events.StreamReset: _broken,
        events.WindowUpdated: _credit,
    }

    def _read(self, size: int) -> None:
        if self._paused:
            self._unread += size
        elif size:
            self._h2.acknowledge_received_data(size, self._number)

    def pause(self) -> None:
        """The client does not read."""
        self._paused = True

    def resume(self) -> None:
        """The client reads again, and the service gets its credit back."""
        self._paused = False
        size, self._unread = self._unread, 0
        if size:
            self._h2.acknowledge_received_data(size, self._number)
            self._connection.flush()

    # The end

    def abort(self) -> None:
        """The client is gone."""
        self._leave()
        self._reset(ErrorCodes.CANCEL)

    def _reset(self, code: ErrorCodes) -> None:
        try:
            self._h2.reset_stream(self._number, code)
        except (ProtocolError, StreamClosedError):  # it ended this moment
            return
        self._connection.flush()

    def close(self) -> None:
        """The client was gone before the call began."""
        self._leave()

    def broke(self, error: OSError) -> None:
        """There will be no answer, or no end of it."""
        request, asker, response = self._request, self._asker, self._response
        self._leave()
        if request is None or asker is None:
            return
        if response is None:
            self._failed(request, asker, error)
        else:
            asker.on_abort()

    def _leave(self) -> None:
        if self._asker is not None:
            self._asker.exchange = None
        self._asker = None
        if self._unread:  # the connection's credit is everybody's
            self.resume()
        self._connection.ended(self._number)
