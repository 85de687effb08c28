"""Has the system find out that the other end is gone without a word: a VPN that ended, a laptop that slept."""

from __future__ import annotations

import socket
from typing import Any, Final

#: Seconds of silence before the system asks, between two of its questions, and how many of them may stay unanswered.
_IDLE, _BETWEEN, _MOST = 30, 10, 3
#: Milliseconds for which what was sent may stay unacknowledged. Linux would try for a quarter of an hour.
_UNACKNOWLEDGED: Final = (_IDLE + _BETWEEN * _MOST) * 1000
#: By the names of the system's options, as not every system has all: macOS calls the first one TCP_KEEPALIVE.
_OPTIONS: Final = {
    "TCP_KEEPIDLE": _IDLE,
    "TCP_KEEPALIVE": _IDLE,
    "TCP_KEEPINTVL": _BETWEEN,
    "TCP_KEEPCNT": _MOST,
    "TCP_USER_TIMEOUT": _UNACKNOWLEDGED,
}


def set_up(connection: Any) -> None:
    """For a TCP connection on which an answer may be silent for long: its end is known after a minute."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _OPTIONS.items():
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    except OSError:
        return  # it is closed already
