"""`stores attach`: this terminal becomes a process's, for a debugger or a prompt, until it is detached."""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from procman.cli.arguments import Name
from procman.cli.help import option
from procman.cli.place import here
from procman.clients.supervisor import Call
from procman.errors import StoresError


def attach(
    name: Name,
    detach_key: Annotated[str, option("--detach-key", metavar="KEY", help="What detaches, as ctrl-].")] = "ctrl-]",
    no_restart: Annotated[bool, option("--no-restart", help="Fail where it has no terminal yet.")] = False,
) -> None:
    """Attach this terminal to a process, for a debugger.

    pdb, binding.pry, Node's: what you type goes to the program, Ctrl-C included; Ctrl-] detaches, and the program goes
    on. A process that was started without a terminal is started anew with one; the others go on. For good:
    terminal = true in its file.

    For example:
      stores attach netshop
      stores attach netshop.worker --detach-key ctrl-a
    """
    key = _key(detach_key)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise StoresError("attach needs a terminal", "In a script, read what it wrote: stores logs", exit_code=2)
    rows, columns = _size()
    with Call(here().paths, "attach", targets=[name], rows=rows, columns=columns, restart=not no_restart) as call:
        ended = _Session(call, key, detach_key).run()
    if ended is None:
        sys.stderr.write(f"\ndetached; {name} goes on\n")
    else:
        sys.stderr.write(f"\n{name}: {ended or 'ended'}\n")


def _key(text: str) -> bytes:
    """``ctrl-]`` as the byte that a terminal sends for it."""
    letter = text.lower().removeprefix("ctrl-").upper()
    if not text.lower().startswith("ctrl-") or len(letter) != 1 or not "@" <= letter <= "_":
        raise StoresError(
            f"--detach-key {text}: no such key", "Write ctrl- and a letter, or one of [ \\ ] ^ _", exit_code=2
        )
    return bytes([ord(letter) & 0x1F])


def _size() -> list[int]:
    """Rows and columns of the window itself (COLUMNS and LINES may be an older one's)."""
    columns, rows = os.get_terminal_size(sys.stdout.fileno())
    return [rows, columns]


class _Session:
    """From the connection to the detaching. The terminal is raw only once the process's own is there."""

    def __init__(self, call: Call, key: bytes, shown_key: str) -> None:
        self._call = call
        self._key = key
        self._shown_key = shown_key
        self._rest = b""

    def run(self) -> str | None:
        """How the process ended, or None where it goes on."""
        for told in self._lines():
            if "restarted" in told:
                sys.stderr.write(
                    f"{told['restarted']} has no terminal yet: it is started anew with one, the others go on\n"
                )
            if "attached" in told:
                with _raw(sys.stdin.fileno()):  # before it is said, so that nothing that is typed then is lost
                    said = f"attached to {told['attached']} (PID {told['pid']}); {self._shown_key} detaches\r\n"
                    sys.stderr.write(said)
                    return self._talk()
        return None

    def _talk(self) -> str | None:
        before = signal.signal(signal.SIGWINCH, lambda *_: self._call.say(size=_size()))
        selector = selectors.DefaultSelector()
        selector.register(sys.stdin, selectors.EVENT_READ)
        selector.register(self._call, selectors.EVENT_READ)
        try:
            ended = self._show(b"")  # some of it may have come with the word that this is attached
            while ended is None:
                for event, _ in selector.select():
                    if event.fileobj is not sys.stdin:
                        ended = self._show(self._received())
                    elif not self._type():
                        return None
            return ended
        finally:
            selector.close()
            signal.signal(signal.SIGWINCH, before)

    def _type(self) -> bool:
        """Passes on what was typed; false where that was the key that detaches."""
        typed = os.read(sys.stdin.fileno(), 4096)
        keys, detach, _ = typed.partition(self._key)
        if keys:
            self._call.say(keys=keys.decode("latin-1"))
        return bool(typed) and not detach

    def _received(self) -> bytes:
        data = self._call.receive()
        if not data:
            raise StoresError("The supervisor has ended", "See what runs now: stores status")
        return data

    def _show(self, data: bytes) -> str | None:
        """Shows what was told; how it ended, where it did."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            told = _checked(json.loads(line))
            if "output" in told:
                _write_all(told["output"].encode("latin-1"))
            if "ok" in told:
                return str(told["ok"]["ended"])
        return None

    def _lines(self) -> Iterator[dict[str, Any]]:
        while data := self._call.receive():
            self._rest += data
            while b"\n" in self._rest:
                line, _, self._rest = self._rest.partition(b"\n")
                yield _checked(json.loads(line))


def _checked(told: dict[str, Any]) -> dict[str, Any]:
    if "error" in told:
        failed = told["error"]
        raise StoresError(failed["message"], failed["hint"], exit_code=failed["exit"])
    return told


def _write_all(data: bytes) -> None:
    sys.stdout.flush()
    view = memoryview(data)
    while view:
        view = view[os.write(sys.stdout.fileno(), view) :]


@contextmanager
def _raw(number: int) -> Iterator[None]:
    """Every key is passed on as it is typed; the terminal is as before afterwards, whatever happens."""
    before = termios.tcgetattr(number)
    tty.setraw(number, termios.TCSADRAIN)  # what was typed already is kept
    try:
        yield
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
