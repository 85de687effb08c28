"""What stands between a client's request and who answers it: two records and two sides that call each other.

The **asker** is the client's side: an HTTP/1 connection, or one stream of an HTTP/2 one. The **exchange** is the
upstream's side: a connection to a service out of the pool, one that is still being made, or a link to mitmproxy. Which
of them it is, nobody on the client's side needs to know. All calls are plain and immediate, in one thread.

The life of a request:

1. The asker has a whole request head. It fills a `Request` and calls ``front.ask(request, asker, data, ended)`` with
   the part of the body that is there already; `ended` says that it is the whole (``b"", True`` for no body). This sets
   ``asker.exchange``, and may call none of the asker's methods before it returns.
2. More of the body: ``asker.exchange.send(data, ended)``. Always through ``asker.exchange``: it is replaced when a
   connection has come about, or a request is sent again. Set ``request.trailers`` before the last call, if there are
   any. After `hold_body` the asker should read no more from its client until `resume_body`; what it sends
   nevertheless is taken and buffered.
3. `on_interim`, any number of times (100, 103), then `on_response` once, `on_body` until `ended`. ``response.trailers``
   is filled in at the end. Nothing is called after `ended`, and ``asker.exchange`` is None then. The answer may end
   before the request has: what of the body is still to come is the asker's to discard.
4. An answer always begins: what goes wrong before that is answered by a page. What goes wrong later is `on_abort`.
5. The client is gone: ``asker.exchange.abort()``. Nothing is called afterwards. Nor may `send` be.
6. Back-pressure on the answer: ``asker.exchange.pause()`` until ``resume()``. A little may still come: what had been
   read already.

Bodies are bytes without framing, except where both ends speak HTTP/1.1 and the body is chunked: then it is relayed as
it stands on the wire. Two flags say so: ``request.framed`` (what the asker sends) and ``asker.framed`` (what it wants).

A change of protocol (101, or 2xx to CONNECT) has ``response.tunnel`` set: from there on, `send` and `on_body` carry raw
bytes, and `ended` closes one direction. For WebSocket over HTTP/2 (RFC 8441) the stream asks as HTTP/1.1 would: GET
with ``Connection: Upgrade``, ``Upgrade: websocket`` and a key, ``request.upgrade`` set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from proxy_addons.front.client import Client

#: Name and value as bytes, in the order and case in which they came.
Field = tuple[bytes, bytes]

#: `Request.length` and `Response.length` where it is no number of bytes.
CHUNKED: Final = -1
UNTIL_CLOSE: Final = -2
TUNNEL: Final = -3


class Request:
    """A request's head. `h2` makes one itself; `request_head.RequestReader` makes one of HTTP/1's bytes."""

    __slots__ = (
        "client",
        "expects",
        "fields",
        "framed",
        "host",
        "length",
        "managed",
        "method",
        "raw",
        "target",
        "trailers",
        "upgrade",
        "version",
    )

    def __init__(self, client: Client, method: bytes, target: bytes, fields: list[Field], host: bytes | None) -> None:
        """A request without a body; set what differs.

        `target`: as in HTTP/1.1, so ``/path?query``, ``*``, a whole URL or (CONNECT) ``host:port``. `fields`: with
        exactly one Host where `host` is not None, without pseudo-fields, cookies joined into one field. `host`: its
        value; None where there is none or several, and a page answers.
        """
        self.client = client
        self.method = method
        self.target = target
        self.fields = fields
        self.host = host
        #: What the client speaks, for whom it concerns: b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2".
        self.version = b"HTTP/1.1"
        #: Bytes of the body, 0 for none, or CHUNKED: not known, and sent on as chunks.
        self.length = 0
        #: Whether a CHUNKED body comes with its framing, as HTTP/1.1 sends it.
        self.framed = False
        #: The protocol that is asked for (lower case), with ``Connection: Upgrade``.
        self.upgrade = b""
        #: ``Expect: 100-continue``.
        self.expects = False
        #: Whether `fields` hold what must not go on as it is: see `policy.MANAGED`. `policy.examine` finds out.
        self.managed = True
        #: The head as it came over HTTP/1.1, with the final empty line; or b"".
        self.raw = b""
        self.trailers: list[Field] = []


class Response:
    """An answer's head. `fields` are fit for the client: hop-by-hop ones are gone, X-Stores-Route is there.

    Names are in the case in which they came: HTTP/2 has to lower them. Content-Length stands there as the upstream
    sent it (also for HEAD and 304), Transfer-Encoding is gone.
    """

    __slots__ = ("chunked", "fields", "length", "raw", "reason", "status", "trailers")

    def __init__(self, status: int, reason: bytes, fields: list[Field], length: int) -> None:
        """`length`: bytes of the body that follows, 0 for none; else CHUNKED, UNTIL_CLOSE or TUNNEL."""
        self.status = status
        self.reason = reason
        self.fields = fields
        self.length = length
        #: Whether the upstream said ``Transfer-Encoding: chunked``, be it for a body that does not come (HEAD).
        self.chunked = False
        #: For HTTP/1.1 clients: the head without its last line, ready to be sent; b"": made from `fields`.
        self.raw = b""
        self.trailers: list[Field] = []

    @property
    def tunnel(self) -> bool:
        """Whether what follows is another protocol."""
        return self.length == TUNNEL


class Exchange(Protocol):
    """The upstream's side of one request."""

    def send(self, data: bytes, ended: bool) -> None:  # noqa: FBT001 - called for every piece of a body
        """More of the request's body."""

    def abort(self) -> None:
        """The client is gone: so is its request, at once."""

    def pause(self) -> None:
        """No more of the answer's body for now."""

    def resume(self) -> None:
        """The answer's body may go on."""


class Asker(Protocol):
    """The client's side of one request."""

    #: Set by the front; None before and after.
    exchange: Exchange | None
    #: Whether a chunked answer is wanted with its framing.
    framed: bool

    def on_interim(self, response: Response) -> None:
        """1xx, but not 101."""

    def on_response(self, response: Response, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `send`
        """The answer's head, with what is there of its body."""

    def on_body(self, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `send`
        """More of the answer's body."""

    def on_abort(self) -> None:
        """The answer broke off; its end will not come."""

    def hold_body(self) -> None:
        """The upstream does not take more of the request's body for now."""

    def resume_body(self) -> None:
        """It does again."""


class Front(Protocol):
    """What askers ask, one for all clients (`dispatch.Dispatch`)."""

    def ask(self, request: Request, asker: Asker, data: bytes, ended: bool) -> None:  # noqa: FBT001 - as in `send`
        """Has `request` answered."""
