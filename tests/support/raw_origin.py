"""A service that says byte for byte what a test wants, and tells what it got: one function per connection."""

import contextlib
import queue
import socket
import threading

PATIENCE = 20
_END = b"\r\n\r\n"


class RawOrigin:
    """Calls `serve(connection)` in a thread of its own for each connection that comes, then closes it."""

    def __init__(self, serve=None, host="127.0.0.1"):
        self.serve = serve or answer_all
        self.heads = queue.Queue()
        self.gone = queue.Queue()
        self.connections = 0
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, 0), family=family, backlog=128)
        self.port = self._socket.getsockname()[1]
        self._open = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                client.settimeout(PATIENCE)
                self.connections += 1
                self._open.add(client)
                threading.Thread(target=self._run, args=(client,), daemon=True).start()

    def _run(self, client):
        try:
            self.serve(Wire(client, self))
        except (OSError, EOFError):
            pass
        finally:
            self._open.discard(client)
            client.close()
            self.gone.put(True)

    def close(self):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for client in list(self._open):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def head(self):
        """The next request's head."""
        return self.heads.get(timeout=PATIENCE)

    @property
    def untouched(self):
        return self.heads.empty() and self.connections == 0


class Wire:
    """One connection, at the service's end."""

    def __init__(self, client, origin=None):
        self.socket = client
        self.rest = b""
        self._origin = origin

    def read_head(self):
        """One request's head, which the test can ask for, too. Raises EOFError at the end."""
        head = self.read_until(_END)
        if self._origin is not None:
            self._origin.heads.put(head)
        return head

    def read_until(self, end):
        while end not in self.rest:
            self._more()
        at = self.rest.index(end) + len(end)
        found, self.rest = self.rest[:at], self.rest[at:]
        return found

    def read(self, size):
        while len(self.rest) < size:
            self._more()
        found, self.rest = self.rest[:size], self.rest[size:]
        return found

    def read_to_end(self):
        with contextlib.suppress(EOFError):
            while True:
                self._more()
        return self.rest

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError
        self.rest += data

    def send(self, *parts):
        self.socket.sendall(b"".join(parts))


def answer_all(wire):
    """200 and the request's target, as often as it is asked."""
    while True:
        target = wire.read_head().split(b" ")[1]
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(target), target)


def saying(*answers):
    """Answers the first request with the first of `answers`, and so on; then closes."""

    def serve(wire):
        for answer in answers:
            wire.read_head()
            wire.send(answer)

    return serve
