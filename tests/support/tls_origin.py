"""A service that has a certificate, for clients that do or do not take it."""

from __future__ import annotations

import socket
import ssl
import threading


def _pair() -> tuple[socket.socket, socket.socket]:
    """Listeners on ::1 and 127.0.0.1 with one number, which others may take in between: then with another one."""
    while True:
        six = socket.create_server(("::1", 0), family=socket.AF_INET6)
        try:
            return six, socket.create_server(("127.0.0.1", six.getsockname()[1]))
        except OSError:
            six.close()


class TlsOrigin:
    """Answers each TLS connection with one short HTTP response, on both loopback addresses."""

    def __init__(self, context: ssl.SSLContext, body: bytes = b"ok") -> None:
        self._context = context
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self._answer = head.encode() + body
        self._listener, self._listener4 = _pair()
        self.port: int = self._listener.getsockname()[1]
        self._threads = [
            threading.Thread(target=self._accept, args=(listener,)) for listener in (self._listener, self._listener4)
        ]
        for thread in self._threads:
            thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(20)
                try:
                    with self._context.wrap_socket(connection, server_side=True) as tls:
                        tls.recv(4096)
                        tls.sendall(self._answer)
                        tls.unwrap()
                except OSError:
                    continue

    def close(self) -> None:
        for listener in (self._listener, self._listener4):
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for thread in self._threads:
            thread.join(20)
