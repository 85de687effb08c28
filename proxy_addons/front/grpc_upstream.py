"""One HTTP/2 connection to a service, with the gRPC calls on it. h2 (hyper) does the protocol, we move the bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from proxy_addons.front.exchange import Asker, Request
from proxy_addons.front.grpc_call import Call

#: Bytes that the service may send ahead: on the whole connection, and of one call.
_CREDIT: Final = 16 * 1024 * 1024
_CREDIT_OF_CALL: Final = 1024 * 1024
#: Seconds that a connection without calls is kept, and for the service's first word.
_KEEP: Final = 30.0
_GREETING: Final = 5.0


class _Connection(H2Connection):
    """For h2, GOAWAY is the end. For a server that stops in good manners it is not: open calls go on (section 6.8)."""

    def _receive_goaway_frame(self, frame: Any) -> tuple[list[Any], list[events.Event]]:
        """As h2's own, but that the connection stays open, and what waits to be sent is not thrown away."""
        event = events.ConnectionTerminated()
        event.error_code, event.last_stream_id = frame.error_code, frame.last_stream_id
        return [], [event]


class GrpcUpstream(asyncio.Protocol):
    """A connection that one or more calls share."""

    def __init__(self, gone: Callable[[GrpcUpstream], None]) -> None:
        """`gone` is called when it is closed, by whichever side."""
        self._gone = gone
        self._h2 = _Connection(H2Configuration(client_side=True, header_encoding=None))
        self._transport: Any = None
        self._calls: dict[int, Call] = {}
        self._greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._leaving = False
        #: Whether a call was ever begun on it.
        self.used = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """It says which protocol this is."""
        self._transport = transport
        self._h2.initiate_connection()
        self._h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: _CREDIT_OF_CALL, SettingCodes.ENABLE_PUSH: 0})
        self._h2.increment_flow_control_window(_CREDIT)
        self.flush()

    async def greeted(self) -> None:
        """Returns when the service has answered in HTTP/2. Raises ``OSError`` where it does not."""
        try:
            async with asyncio.timeout(_GREETING):
                await self._greeted
        except TimeoutError:
            self.close()
            raise ConnectionError("the service does not answer in HTTP/2, which gRPC needs") from None
        if not self.usable:
            self.close()
            raise ConnectionError("the service takes no calls")
        self._keep()

    @property
    def usable(self) -> bool:
        """Whether one more call can be made on it."""
        most = self._h2.remote_settings.max_concurrent_streams
        return not self._leaving and not self._transport.is_closing() and len(self._calls) < most

    @property
    def busy(self) -> bool:
        """Whether a call is open."""
        return bool(self._calls)

    def call(self, failed: Callable[[Request, Asker, OSError], None]) -> Call:
        """A call, to be begun."""
        return Call(self, self._h2, failed)

    def begun(self, call: Call) -> int:
        """The number of its stream. Raises ``ProtocolError`` when there are no more."""
        self.used = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        number = self._h2.get_next_available_stream_id()
        self._calls[number] = call
        return number

    def flush(self) -> None:
        """What the protocol wants to say goes out."""
        if data := self._h2.data_to_send():
            self._transport.write(data)

    def ended(self, stream_id: int) -> None:
        """A call is over."""
        if self._calls.pop(stream_id, None) is not None and not self._calls:
            self._keep()
        if self._leaving and not self._calls:
            self.close()

    def _keep(self) -> None:
        """For a while, as nobody calls."""
        self._timer = asyncio.get_running_loop().call_later(_KEEP, self.close)

    def data_received(self, data: bytes) -> None:
        """Whatever came, for whichever call."""
        try:
            happened = self._h2.receive_data(data)
        except ProtocolError as error:
            self._refuse(ConnectionError(f"the service does not speak HTTP/2 as gRPC needs it: {error}"))
            return
        for event in happened:
            self._take(event)
        self.flush()

    def _take(self, event: events.Event) -> None:
        if isinstance(event, events.RemoteSettingsChanged) and not self._greeted.done():
            self._greeted.set_result(None)
        if isinstance(event, events.ConnectionTerminated):
            self._leaving = True
            last = event.last_stream_id or 0
            for call in [call for number, call in self._calls.items() if number > last]:
                call.broke(ConnectionError("the service takes no more calls"))
            if not self._calls:
                self.close()
        if isinstance(event, events.RemoteSettingsChanged) or getattr(event, "stream_id", None) == 0:
            for call in list(self._calls.values()):
                call.go_on()
            return
        call_ = self._calls.get(getattr(event, "stream_id", None) or 0)
        if call_ is not None:
            call_.take(event)

    def eof_received(self) -> None:
        """There is no half of an HTTP/2 connection."""

    def pause_writing(self) -> None:
        """The service does not read."""
        for call in list(self._calls.values()):
            call.hold()

    def resume_writing(self) -> None:
        """It reads again."""
        for call in list(self._calls.values()):
            call.go_on()

    def connection_lost(self, error: Exception | None) -> None:
        """All its calls are lost with it."""
        self._end(ConnectionError(str(error or "the connection was closed before an answer")))

    def _refuse(self, error: OSError) -> None:
        self.flush()
        self._transport.abort()
        self._end(error)

    def _end(self, error: OSError) -> None:
        self._leaving = True
        self._gone(self)
        if not self._greeted.done():
            self._greeted.set_exception(error)
            self._greeted.exception()  # there may be nobody who waits
        if self._timer is not None:
            self._timer.cancel()
        for call in list(self._calls.values()):
            call.broke(error)

    def close(self) -> None:
        """No call is on it."""
        self._leaving = True
        self._gone(self)
        self._transport.close()
