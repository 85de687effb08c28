"""Server-sent events (the HTML standard, section 9.2): one channel, any number of listening pages."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from common.message import Response

HEARTBEAT = 15.0  # seconds; a comment, so that a page that went away is noticed and no gateway thinks the stream dead


class Channel:
    def __init__(self) -> None:
        self._listeners: set[queue.SimpleQueue[bytes]] = set()
        self._lock = threading.Lock()

    def publish(self, event: str, data: Any) -> None:
        self._put(_message(event, data))

    def close(self) -> None:
        self._put(b"")

    def _put(self, message: bytes) -> None:
        with self._lock:
            for listener in self._listeners:
                listener.put(message)

    def stream(self, now: Callable[[], Iterable[tuple[str, Any]]]) -> Response:
        """What is published from now on; before it `now`, the state of things for who was away."""
        return Response(self._messages(now), content_type="text/event-stream", headers=[("Cache-Control", "no-store")])

    def _messages(self, now: Callable[[], Iterable[tuple[str, Any]]]) -> Iterator[bytes]:
        listener: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        with self._lock:
            self._listeners.add(listener)
        try:
            yield b"retry: 1000\n\n" + b"".join(_message(event, data) for event, data in now())
            while True:
                try:
                    message = listener.get(timeout=HEARTBEAT)
                except queue.Empty:
                    message = b": still here\n\n"
                if not message:
                    return
                yield message
        finally:
            with self._lock:
                self._listeners.discard(listener)


def _message(event: str, data: Any) -> bytes:
    return f"event: {event}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
