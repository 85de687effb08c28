"""An HTTP/2 server of ours on a real socket, whose front answers by itself; and a client that may break every rule."""

import asyncio
import base64
import contextlib
import hashlib
import queue
import socket
import ssl
import struct
import threading
import time

from hpack import Decoder

from proxy_addons.event_loop import loop_factory
from proxy_addons.front import h2_frame as wire
from proxy_addons.front.clients import Clients
from proxy_addons.front.clock import Clock
from proxy_addons.front.exchange import CHUNKED, TUNNEL, Response
from proxy_addons.front.h2_client import Http2Client

PATIENCE = 20
GET = [(b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/hello"), (b":authority", b"shop.test")]
POST = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/echo"), (b":authority", b"shop.test")]


#: What is answered at once: `Answering.answer`'s arguments.
PLAIN = {
    b"/hello": {"body": b"hello", "fields": [(b"Content-Type", b"text/plain")]},
    b"/early": {"status": 413, "body": b"too much"},
    b"/status/204": {"status": 204, "fields": [(b"X", b"y")]},
    b"/status/304": {"status": 304, "length": 5, "fields": [(b"ETag", b'"e"')]},
    b"/head": {"length": 5},
    b"/refuse": {"body": b"no tunnel"},
    b"/forbidden": {"status": 403, "body": b"no"},
    b"/hop-by-hop": {"fields": [(b"Connection", b"x"), (b"Keep-Alive", b"y"), (b"Transfer-Encoding", b"chunked")]},
    b"/long": {"fields": [(b"X-Long", b"v" * 60000)]},
    b"/unsayable": {"fields": [(b"X", b"a\r\nb")]},
}


def get(path, *fields):
    return [(b":method", b"GET"), (b":scheme", b"https"), (b":path", path), (b":authority", b"shop.test"), *fields]


def block(fields):
    """A header block without any compression (literals without indexing)."""

    def text(value):
        size = len(value)
        if size < 127:
            return bytes((size,)) + value
        size -= 127
        out = [127]
        while size >= 128:
            out.append(size & 127 | 128)
            size >>= 7
        return bytes((*out, size)) + value

    return b"".join(b"\0" + text(name) + text(value) for name, value in fields)


def headers(stream_id, fields=GET, flags=wire.END_STREAM | wire.END_HEADERS):
    return wire.frame(wire.HEADERS, flags, stream_id, block(fields))


def data(stream_id, octets=b"", flags=0):
    return wire.frame(wire.DATA, flags, stream_id, octets)


def priority(stream_id, depends_on=0):
    return wire.frame(wire.PRIORITY, 0, stream_id, struct.pack(">LB", depends_on, 15))


class Answering:
    """One request's exchange: what it does stands in the path."""

    def __init__(self, front, request, asker):
        self.front, self.request, self.asker = front, request, asker
        self.body, self.paused, self.left = [], False, 0

    def answer(self, status=200, body=b"", length=None, fields=(), *, ended=True):
        length = len(body) if length is None else length
        told = [(b"Content-Length", b"%d" % length)] if length >= 0 else []
        response = Response(status, b"", [*told, *fields], length)
        if ended:
            self.asker.exchange = None
        self.asker.on_response(response, body, ended)
        return response

    def begin(self, ended):
        path = self.request.target
        if path in PLAIN:
            self.answer(**PLAIN[path])
        elif path.startswith(b"/bytes/"):
            self.left = int(path[7:])
            self.answer(length=self.left, ended=False)
            self.pour()
        elif path == b"/interim":
            self.asker.on_interim(Response(103, b"", [(b"Link", b"</a.css>; rel=preload")], 0))
            self.answer(body=b"late")
        elif path == b"/trailers":
            response = self.answer(length=CHUNKED, ended=False)
            response.trailers.append((b"Grpc-Status", b"0"))
            self.asker.exchange = None
            self.asker.on_body(b"body", True)
        elif path == b"/broken":
            self.answer(length=100, ended=False)
            self.asker.exchange = None
            self.asker.on_abort()
        elif path == b"/stop":
            self.asker.hold_body()
        elif path == b"/hang":
            pass
        elif self.request.upgrade or self.request.method == b"CONNECT":
            self.tunnel()
        elif ended:
            self.ended()

    def tunnel(self):
        accept = self.front.accept(self.request)
        status = 101 if self.request.upgrade else 200
        fields = [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"), (b"Sec-WebSocket-Accept", accept)]
        self.asker.on_response(Response(status, b"", fields, TUNNEL), b"", False)

    def pour(self):
        """More of the answer, as long as the client takes it."""
        if self.paused or not self.left or self.asker.exchange is None:
            return
        size = min(self.left, 65536)
        self.left -= size
        self.front.poured += size
        if not self.left:
            self.asker.exchange = None
        self.asker.on_body(b"x" * size, not self.left)
        self.front.loop.call_soon(self.pour)

    def send(self, octets, ended):
        self.front.received += len(octets)
        if self.request.upgrade or self.request.method == b"CONNECT":
            self.asker.on_body(octets, ended)
            return
        self.body.append(octets)
        if ended:
            self.ended()

    def ended(self):
        if self.request.target == b"/echo":
            response = self.answer(length=CHUNKED, ended=False)
            response.trailers += self.request.trailers
            self.asker.exchange = None
            self.asker.on_body(b"".join(self.body), True)

    def abort(self):
        self.front.aborted.put((self.request.target, time.monotonic()))

    def pause(self):
        self.paused = True
        self.front.pauses += 1

    def resume(self):
        self.paused = False
        self.pour()


class AnsweringFront:
    """`exchange.Front`, on its own loop in a thread."""

    def __init__(self, limits=None, context=None):
        self.requests, self.aborted, self.made = queue.Queue(), queue.Queue(), queue.Queue()
        self.poured = self.received = self.pauses = 0
        self.accept = self._accept
        self._limits, self._context = limits, context
        self._runner = asyncio.Runner(loop_factory=loop_factory())
        self.loop = self._runner.get_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._stop = asyncio.Event()
        self._thread.start()

    @staticmethod
    def _accept(request):
        key = dict(request.fields).get(b"Sec-WebSocket-Key", b"")
        return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())

    def _run(self):
        self._runner.run(self._serve())
        self._runner.close()

    async def _serve(self):
        self.clock = Clock(self.loop, 0.1)
        self.clients = Clients(self, self.clock)
        server = await self.loop.create_server(self._client, sock=self._listener, ssl=self._context)
        await self._stop.wait()
        server.close()
        self.clients.abort()
        self.clock.stop()
        await asyncio.sleep(0)

    def _client(self):
        client = Http2Client(self.clients, self._limits)
        self.made.put(client)
        return client

    def ask(self, request, asker, octets, ended):
        exchange = asker.exchange = Answering(self, request, asker)
        self.requests.put(request)
        self.loop.call_soon(exchange.begin, ended)

    def call(self, function, *arguments):
        """Calls it on the server's loop, and returns its result."""
        done = queue.Queue()
        self.loop.call_soon_threadsafe(lambda: done.put(function(*arguments)))
        return done.get(timeout=PATIENCE)

    def until(self, condition):
        """Waits for something on the server's loop."""
        end = time.monotonic() + PATIENCE
        while not self.call(condition):
            assert time.monotonic() < end, "it did not happen"

    def close(self):
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)


@contextlib.contextmanager
def answering(**how):
    front = AnsweringFront(**how)
    try:
        yield front
    finally:
        front.close()


class Peer:
    """A client that sends any octets, and reads frames."""

    def __init__(self, port, context=None, *, greeting=True, settings=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self._buffer = b""
        self._decoder = Decoder()
        if greeting:
            self.send(wire.PREFACE + wire.settings(settings or {}))

    def send(self, *octets):
        # it may have been sent away meanwhile: what it was told is there to be read
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(b"".join(octets))

    def frame(self):
        """The next one as (kind, flags, stream, payload), or None at the end."""
        while len(self._buffer) < 9 or len(self._buffer) < 9 + int.from_bytes(self._buffer[:3], "big"):
            try:
                more = self.socket.recv(65536)
            except (ConnectionResetError, ssl.SSLError):
                more = b""
            if not more:
                return None
            self._buffer += more
        size = int.from_bytes(self._buffer[:3], "big")
        kind, flags = self._buffer[3], self._buffer[4]
        stream_id = int.from_bytes(self._buffer[5:9], "big")
        payload, self._buffer = self._buffer[9 : 9 + size], self._buffer[9 + size :]
        return kind, flags, stream_id, payload

    def fields(self, payload):
        return self._decoder.decode(payload, raw=True)

    def until(self, wanted):
        """Frames up to the first for which `wanted(kind, flags, stream, payload)` is true; that one is the last."""
        frames = []
        while (frame := self.frame()) is not None:
            frames.append(frame)
            if wanted(*frame):
                return frames
        raise AssertionError(f"the connection ended; there was {frames}")

    def answer(self, stream_id):
        """Status, fields, body and trailers of one stream."""
        heads, body = [], b""
        ended = False
        while not ended:
            frame = self.frame()
            assert frame is not None, "the connection ended"
            kind, flags, stream, payload = frame
            fields = self.fields(payload) if kind == wire.HEADERS else None
            assert kind != wire.GOAWAY, payload
            if stream != stream_id:
                continue
            assert kind != wire.RST_STREAM, payload
            if kind == wire.HEADERS:
                heads.append(fields)
            elif kind == wire.DATA:
                body += payload
            ended = kind in {wire.HEADERS, wire.DATA} and flags & wire.END_STREAM
        finals = [head for head in heads if dict(head).get(b":status", b"")[:1] != b"1"]
        status = int(dict(finals[0])[b":status"])
        return status, [field for field in finals[0] if field[0] != b":status"], body, finals[1:]

    def ping(self):
        """Everything that came before the answer to a PING."""
        self.send(wire.frame(wire.PING, 0, 0, b"are you?"))
        return self.until(lambda kind, flags, _, payload: kind == wire.PING and flags and payload == b"are you?")[:-1]

    def end(self):
        """All that comes until the server closes the connection."""
        frames = []
        while (frame := self.frame()) is not None:
            frames.append(frame)
        return frames

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def one_front():
    """`server = pytest.fixture(one_front)`."""
    with answering() as front:
        yield front


def one_peer(server):
    """`peer = pytest.fixture(one_peer)`: a client of `server`."""
    with Peer(server.port) as peer:
        yield peer
