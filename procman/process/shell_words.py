"""Whether a command line is one simple command, which can take the place of the shell that reads it (``exec``)."""

from __future__ import annotations

import re

# Words that only the shell itself knows (POSIX shell, 2.4 and 2.14, and what dash and bash add)
_WORDS = """
if then else elif fi for while until do done case esac in function select time { } ! [[ . : alias bg
break builtin cd command continue declare dirs eval exec exit export fg getopts hash history jobs
let local popd pushd read readonly return set shift shopt source times trap type typeset ulimit
umask unalias unset wait
"""
_OF_THE_SHELL = frozenset(_WORDS.split())
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")

# What ends a simple command, where it stands outside of quotes: lists, pipes, groups, comments. Redirections do not.
_ENDS = frozenset(";|()\n")


def split(command: str) -> tuple[str, str] | None:
    """The assignments before a simple command, and the command; None where it is more than one, or the shell's own."""
    spans = _words(command)
    if spans is None:
        return None
    for begin, end in spans:
        word = command[begin:end]
        if _ASSIGNMENT.match(word):
            continue
        if word in _OF_THE_SHELL or word[0] in "<>" or word.rstrip("<>&").isdigit():
            return None
        return command[:begin], command[begin:]
    return None  # nothing but assignments


def _words(command: str) -> list[tuple[int, int]] | None:
    """Where each word begins and ends; None where something stands between them that makes it more than one command."""
    spans: list[tuple[int, int]] = []
    at, begin = 0, -1
    while at < len(command):
        character = command[at]
        if character in " \t":
            if begin >= 0:
                spans.append((begin, at))
                begin = -1
            at += 1
            continue
        if character in _ENDS or (character == "#" and begin < 0) or _is_list(command, at):
            return None
        begin = at if begin < 0 else begin
        at = _after(command, at)
        if at < 0:
            return None
    if begin >= 0:
        spans.append((begin, len(command)))
    return spans


def _is_list(command: str, at: int) -> bool:
    """``&`` is one, but not in ``2>&1`` and ``<&3``."""
    return command[at] == "&" and (at == 0 or command[at - 1] not in "<>")


def _after(command: str, at: int) -> int:
    """Behind the quoted text, the expansion or the character at `at`; -1 where it is not closed."""
    character = command[at]
    if character == "\\":
        return at + 2 if command[at + 1 : at + 2] not in {"", "\n"} else -1
    if character in "'`":
        return command.find(character, at + 1) + 1 or -1
    if character == '"':
        return _after_double_quotes(command, at + 1)
    pair = {"${": "}", "$(": ")"}.get(command[at : at + 2])
    return _after_pair(command, at + 2, pair) if pair else at + 1


def _after_double_quotes(command: str, at: int) -> int:
    while at < len(command):
        if command[at] == '"':
            return at + 1
        at = _after(command, at) if command[at] in "\\`$" else at + 1
        if at < 0:
            return -1
    return -1


def _after_pair(command: str, at: int, close: str) -> int:
    while at < len(command):
        if command[at] == close:
            return at + 1
        at = _after_pair(command, at + 1, ")") if command[at] == "(" else _after(command, at)
        if at < 0:
            return -1
    return -1
