"""The text of one file in ``Procfile.d/`` becomes a `Service`.

The file is an ordinary Procfile (honcho parses it, and foreman, overmind and hivemind can run it). The service's facts
stand in a comment block in the form that PEP 723 made standard for inline metadata::

    # /// stores
    # hosts = ["netshop", "*.netshop"]
    # ///
    web: make dev

honcho drops lines that it does not understand; here each of them is a mistake, found before honcho sees the text.
"""

from __future__ import annotations

import re
from pathlib import Path

from honcho.environ import parse_procfile

from procman import service_settings
from procman.mistake import Mistake, MistakesError
from procman.service import PROCESS_NAME, RESERVED_NAMES, SERVICE_NAME, Process, Service
from procman.table import Table

DEFAULT_COMMAND = "make dev"

_OPEN, _CLOSE = "# /// stores", "# ///"
_LINE = re.compile(r"(?P<name>[A-Za-z0-9_-]+):\s*(?P<command>\S.*)")
_NEARLY = re.compile(r"\s*(?P<name>[\w.-]+)\s*:\s*(?P<command>\S.*)?")


def parse(text: str, file: Path, *, root: Path, repos: Path, remote_domain: str) -> Service:
    """A service from the text of its file.

    `root` is the workspace (a relative `dir` starts there), `repos` the folder in which repositories stand by default.
    Raises `MistakesError` with every mistake of the file at once.
    """
    shown = f"{file.parent.name}/{file.name}"
    name = file.name
    if not SERVICE_NAME.fullmatch(name) or name in RESERVED_NAMES:
        raise MistakesError(_bad_name(shown, name))
    lines = text.removeprefix("\ufeff").splitlines()
    mistakes: list[Mistake] = []
    start, stop = _block(lines, shown, mistakes)
    processes = _processes(lines, range(start, stop), shown, mistakes)
    inner = "\n".join(line[1:].removeprefix(" ") for line in lines[start + 1 : stop - 1])
    try:
        table = Table.parse(inner, shown, offset=start + 1)
    except MistakesError as error:
        raise MistakesError(*mistakes, *error.mistakes) from error
    service = service_settings.read(table, name, file, processes, root, repos, remote_domain)
    table.close()
    mistakes += table.mistakes
    if mistakes:
        raise MistakesError(*sorted(mistakes, key=lambda mistake: mistake.line))
    return service


def _bad_name(shown: str, name: str) -> Mistake:
    if name in RESERVED_NAMES:
        return Mistake(shown, 0, "", f'"{name}" is a name that the tool itself uses', "Rename the file.")
    return Mistake(shown, 0, "", f'"{name}" cannot be a host name', f"Rename the file, for example: {usable(name)}")


def usable(name: str) -> str:
    """What a name might be instead, that can be a host name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "my-service"


def _block(lines: list[str], shown: str, mistakes: list[Mistake]) -> tuple[int, int]:
    """The half-open range of lines of the metadata block, its two marks included; (0, 0) when there is none."""
    opens = [index for index, line in enumerate(lines) if line.rstrip() == _OPEN]
    if not opens:
        return 0, 0
    if len(opens) > 1:
        mistakes.append(Mistake(shown, opens[1] + 1, _OPEN, "a second block", "Put all keys into the first one."))
    start = opens[0]
    for index in range(start + 1, len(lines)):
        line = lines[index].rstrip()
        if line == _CLOSE:
            return start, index + 1
        if line != "#" and not line.startswith("# "):
            problem, mend = "the block is not closed before this line", f"End the block with a line: {_CLOSE}"
            mistakes.append(Mistake(shown, index + 1, line.strip(), problem, mend))
            return start, index + 1
    mistakes.append(Mistake(shown, start + 1, _OPEN, "the block is never closed", f"End it with a line: {_CLOSE}"))
    return start, len(lines) + 1


def _processes(lines: list[str], block: range, shown: str, mistakes: list[Mistake]) -> tuple[Process, ...]:
    found: dict[str, Process] = {}
    for index, line in enumerate(lines):
        if index in block or not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.rstrip())
        if match is None:
            mistakes.append(Mistake(shown, index + 1, line.strip(), "not a Procfile line", _mend(line)))
        elif "\0" in line:
            mistakes.append(Mistake(shown, index + 1, "", "a NUL, which no command can hold", "Take it out."))
        elif match["name"] in found:
            first = found[match["name"]].line
            problem = f'"{match["name"]}" stands twice (first on line {first})'
            mistakes.append(Mistake(shown, index + 1, line.strip(), problem, "Give one of them another name."))
        else:
            found[match["name"]] = Process(match["name"], match["command"], index + 1)
    if mistakes:
        return (Process("web", DEFAULT_COMMAND),)
    commands: dict[str, str] = parse_procfile("\n".join(lines)).processes
    processes = tuple(Process(name, command, found[name].line) for name, command in commands.items())
    return processes or (Process("web", DEFAULT_COMMAND),)


def _mend(line: str) -> str:
    nearly = _NEARLY.fullmatch(line.rstrip())
    if nearly and not nearly["command"]:
        return f"Write a command after the colon: {nearly['name']}: {DEFAULT_COMMAND}"
    if nearly and PROCESS_NAME.fullmatch(nearly["name"]):
        return f"Write it as: {nearly['name']}: {nearly['command']}"
    return "Write it as  name: command  with letters, digits, - and _ in the name, or begin a comment with #"
