"""All open windows learn of a booking at once, each in its own words: "mine" or "taken"."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

from reserve.websocket import CloseCode, WebSocket


class Live:
    def __init__(self, state: Callable[[str, str], str]) -> None:
        """`state(slot, visitor)` is what that visitor shall see of the slot."""
        self._state = state
        self._windows: dict[WebSocket, str] = {}
        self._lock = threading.Lock()

    def attend(self, window: WebSocket, visitor: str) -> None:
        """Keeps a window informed until it is closed. What it says is read (its pings too) and means nothing."""
        with self._lock:
            self._windows[window] = visitor
        try:
            for _ in window.messages():
                pass
        finally:
            with self._lock:
                del self._windows[window]

    def slot_changed(self, slot: str) -> None:
        with self._lock:
            for window, visitor in self._windows.items():
                window.send(json.dumps({"slot": slot, "state": self._state(slot, visitor)}))

    def close(self) -> None:
        with self._lock:
            for window in self._windows:
                window.close(CloseCode.GOING_AWAY, "the service stops")
