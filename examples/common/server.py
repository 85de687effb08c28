"""The web server: a thread for each connection, HTTP/1.1 with keep-alive, streams and upgrades, a clean stop."""

from __future__ import annotations

import signal
import socket
import socketserver
import ssl
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from common.connection import Connection
from common.message import HttpError, Request, Response, Upgrade, problem

MAX_BODY = 1 << 20
STOP = {signal.SIGINT, signal.SIGTERM}
SECURITY = [
    ("Content-Security-Policy", "default-src 'self'; connect-src *; base-uri 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
]


class Handler(BaseHTTPRequestHandler):
    """One connection. The standard library reads the heads; the rest is here."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together
    timeout = 65  # seconds of silence between two requests; more than gateways keep a connection

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError, ssl.SSLError):
            self.close_connection = True  # the peer went away, which is its right

    def finish(self) -> None:
        try:
            super().finish()
        except OSError:
            self.close_connection = True

    def answer(self) -> None:
        started = time.monotonic()
        with self.server.busy:
            try:
                request = self._request()
            except HttpError as error:
                self.close_connection = True  # where its body ends is not known
                self._send("GET", problem(error.status, error.message), started)
                return
            self._send(request.method, self.respond(request), started)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer  # noqa: N815 - names of the base class

    def respond(self, request: Request) -> Response:
        return self.server.app(request)

    def _request(self) -> Request:
        return Request(
            self.command, self.path, self.headers, self._body(), secure=isinstance(self.connection, ssl.SSLSocket)
        )

    def _body(self) -> bytes:
        length, coding = self.headers.get("Content-Length"), self.headers.get("Transfer-Encoding")
        if coding is None:
            if length is not None and not (length.isascii() and length.isdigit()):
                raise HttpError(HTTPStatus.BAD_REQUEST, "Content-Length is not a number.")
            if int(length or 0) > MAX_BODY:
                raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {MAX_BODY} bytes.")
            return self.rfile.read(int(length or 0))
        if length is not None or coding.lower() != "chunked":
            raise HttpError(HTTPStatus.BAD_REQUEST, "Transfer-Encoding is chunked and stands alone (RFC 9112, 6.3).")
        body = bytearray()
        while chunk := self._chunk(MAX_BODY - len(body)):
            body += chunk
        return bytes(body)

    def _chunk(self, room: int) -> bytes:
        try:
            size = int(self.rfile.readline(1024).partition(b";")[0], 16)
        except ValueError as error:
            raise HttpError(HTTPStatus.BAD_REQUEST, "A chunk's size is not a number.") from error
        if not 0 <= size <= room:
            raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {MAX_BODY} bytes.")
        chunk = self.rfile.read(size)
        while self.rfile.readline(1024).strip() and not size:
            pass  # trailers: nobody here needs them
        return chunk

    def _send(self, method: str, response: Response, started: float) -> None:
        took = (time.monotonic() - started) * 1000
        self.server.log(f"{self.command} {self.path} {int(response.status)} {took:.0f} ms")
        whole = isinstance(response.body, bytes)
        self._head(response, whole=whole)
        if isinstance(response, Upgrade):
            self._upgrade(response)
        elif whole:
            self.wfile.write(b"" if method == "HEAD" else response.body)
        elif method != "HEAD":
            self._stream(response)
        self.wfile.flush()

    def _head(self, response: Response, *, whole: bool) -> None:
        self.send_response_only(response.status)
        self.send_header("Date", self.date_time_string())
        headers = [*response.headers, *SECURITY]
        if response.status >= HTTPStatus.OK:
            bodiless = response.status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
            headers += [] if bodiless else [("Content-Type", response.content_type)]
            headers += [("Content-Length", str(len(response.body)))] if whole and not bodiless else []
            if not whole:  # HTTP/1.0 has no chunks: there the end of the connection ends the body
                self.close_connection |= self.request_version == "HTTP/1.0"
                headers += [] if self.close_connection else [("Transfer-Encoding", "chunked")]
            if self.close_connection or self.server.closing.is_set():
                headers += [("Connection", "close")]  # send_header notes it
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def _stream(self, response: Response) -> None:
        chunked = not self.close_connection
        self.wfile.flush()
        try:
            for part in response.body:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n" if chunked else b"")
        finally:
            close: Callable[[], None] = getattr(response.body, "close", lambda: None)
            close()

    def _upgrade(self, response: Upgrade) -> None:
        self.close_connection = True
        self.wfile.flush()
        connection = Connection(self.connection, self.rfile)
        try:
            response.run(connection)
        finally:
            connection.close()

    def log_error(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class' name
        self.server.log(format % args)


class Busy:
    """Counts the requests in work, so that a stop can wait for them."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def wait(self, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._count, timeout)


class Server(socketserver.ThreadingTCPServer):
    """Listens on loopback only. (`http.server.HTTPServer` asks DNS for its own name first, which can take seconds.)."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, app: Callable[[Request], Response], handler: type[Handler] = Handler) -> None:
        self.app = app
        self.busy = Busy()
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", port), handler)
        self.port: int = self.server_address[1]

    def log(self, line: str) -> None:
        print(line, flush=True)

    def start(self) -> None:
        # The base class looks every `poll_interval` seconds whether it shall stop. This one is stopped by ending the
        # process, so it may sleep for ever; an hour is near enough.
        threading.Thread(target=self.serve_forever, args=(3600,), daemon=True).start()

    def stop(self, close: Callable[[], None]) -> None:
        self.closing.set()
        self.socket.close()
        close()
        self.busy.wait(0.5)

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def hold_signals() -> None:
    """From now on a stop signal waits for `signal.sigwait`. To be called before any thread starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)


def serve(app: Any, port: int) -> int:
    """Runs the service until SIGINT or SIGTERM; the exit code."""
    hold_signals()
    try:
        server = Server(port, app)
    except OSError as error:
        print(f"{app.name}: port {port} on 127.0.0.1: {error.strerror}. Another one: make dev PORT=0", file=sys.stderr)
        return 1
    server.start()
    print(f"{app.name} listens on http://127.0.0.1:{server.port}", flush=True)
    signal.sigwait(STOP)
    server.stop(app.close)
    return 0
