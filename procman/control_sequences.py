"""What a service writes to steer a terminal: taken out where it would steer one that shows others' lines as well."""

from __future__ import annotations

import re

# What would wipe or move other processes' lines, or speak to the terminal: every CSI sequence but colours, OSC and its
# like, charsets, resets; then every escape that begins no colour (what is cut, too long or unknown), and C1 controls.
_NOT_COLOUR = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-ln-~]|[\]PX^_][^\x07\x1b]{0,512}(?:\x07|\x1b\\)|[()*+][0-9A-Za-z]|[78=>cDEHMNOZ])"
)
_LEFT = re.compile(rb"\x1b(?!\[[0-9:;]*m)|\xc2[\x80-\x9f]")
_SGR, _CONTROLS = re.compile(rb"\x1b\[[0-9:;]*m"), re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_COLOUR, _PLAIN = b"\x1b[", b"\x1b[0m"
# NUL; a question that some terminals answer as if it were typed (ENQ); the other character set (SO, SI)
_CONTROL = b"\x00\x05\x0e\x0f"


def tame(lines: bytes) -> bytes:
    """Lines that keep to their place: the last state of a progress bar, colours, but nothing that clears or moves.

    Line by line, and not by one expression over all: that would look through a long line as often as it has characters.
    """
    if b"\r" in lines:
        lines = b"\n".join(line.rstrip(b"\r").rpartition(b"\r")[2] for line in lines.split(b"\n"))
    if b"\x1b" in lines or b"\xc2" in lines:
        lines = _LEFT.sub(b"", _NOT_COLOUR.sub(b"", lines))
        lines = b"\n".join(line + _PLAIN if _COLOUR in line else line for line in lines.split(b"\n"))
    return lines.translate(None, _CONTROL)


def plain(lines: bytes) -> bytes:
    """Lines without colours, too, nor any other control than tabs and newlines."""
    return _CONTROLS.sub(b"", _SGR.sub(b"", tame(lines)))
