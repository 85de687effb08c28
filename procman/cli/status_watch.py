"""`stores status --watch`: redrawn when something changes; what it costs is measured every two seconds, here."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator

from procman.cli import status_table
from procman.cli.status_view import View
from procman.clients.overview import Overview
from procman.clients.supervisor import Call
from procman.errors import StoresError
from procman.snapshot import Snapshot

#: Seconds between two measurements. It is psutil that costs: 20 ms for 50 processes.
PAUSE = 2.0

_ALTERNATE, _BACK = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


def watch(view: View, shown: Overview, *, as_json: bool) -> None:
    """Shows it until told to end, or nothing runs any more. For programs: one line of JSON a change. Else, once."""
    if as_json:
        with contextlib.suppress(KeyboardInterrupt):
            _stream(view)
    elif sys.stdout.isatty():
        shown = _Screen(view, shown).run()
    if not as_json:
        sys.stdout.write("\n".join(status_table.lines(shown)) + "\n")


def _stream(view: View) -> None:
    for now in _snapshots(view):
        sys.stdout.write(json.dumps(view.of(now).to_json(), separators=(",", ":")) + "\n")
        sys.stdout.flush()


def _snapshots(view: View) -> Iterator[Snapshot]:
    """Each new one, until the supervisor ends."""
    with contextlib.suppress(StoresError, OSError), Call(view.place.paths, "watch") as call:
        for told in call:
            if "snapshot" in told:
                yield Snapshot.from_json(told["snapshot"])


class _Screen:
    """The terminal while it is watched: one thread hears, this one draws."""

    def __init__(self, view: View, shown: Overview) -> None:
        self._view = view
        self._shown = shown
        self._newest: Snapshot | None = None
        self._over = False
        self._read, self._write = os.pipe()

    def run(self) -> Overview:
        """Returns what was shown last."""
        threading.Thread(target=self._listen, daemon=True).start()
        resized = signal.signal(signal.SIGWINCH, lambda *_: os.write(self._write, b"r"))
        keys = sys.stdin.fileno() if sys.stdin.isatty() else -1
        before = termios.tcgetattr(keys) if keys >= 0 else None
        sys.stdout.write(_ALTERNATE)
        try:
            if before:
                tty.setcbreak(keys)
            with contextlib.suppress(KeyboardInterrupt):
                self._draw_on(keys)
        finally:
            if before:
                termios.tcsetattr(keys, termios.TCSADRAIN, before)
            sys.stdout.write(_BACK)
            sys.stdout.flush()
            signal.signal(signal.SIGWINCH, resized)
        return self._shown

    def _listen(self) -> None:
        for now in _snapshots(self._view):
            self._newest = now
            os.write(self._write, b"s")
        self._over = True
        os.write(self._write, b"e")

    def _draw_on(self, keys: int) -> None:
        measured = time.monotonic()
        watched = [self._read, *([keys] if keys >= 0 else [])]
        while not self._over:
            text = "\n".join(status_table.lines(self._shown)) + "\n\nq ends this.\n"
            sys.stdout.write("\x1b[H" + text.replace("\n", "\x1b[K\n") + "\x1b[J")
            sys.stdout.flush()
            left = max(0.0, measured + PAUSE - time.monotonic())
            ready, _, _ = select.select(watched, [], [], left)
            if keys in ready and os.read(keys, 64) in {b"q", b"Q", b"\x1b", b"\x04", b""}:
                return
            if self._read in ready:
                os.read(self._read, 4096)
            newest = self._newest or self._shown.snapshot
            if time.monotonic() - measured >= PAUSE:
                measured = time.monotonic()
                self._shown = self._view.of(newest)
            else:
                self._shown = self._view.of(newest, self._shown)
