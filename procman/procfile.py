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
import signal
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from honcho.environ import parse_procfile

from procman import api_route, span, subscription
from procman.mistake import Mistake, MistakesError
from procman.service import LAST_PORT, PROCESS_NAME, RESERVED_NAMES, SERVICE_NAME, Process, Ready, Service
from procman.table import Table

DEFAULT_COMMAND = "make dev"
RESTART_POLICIES = ("always", "on-failure", "never")
STARTS = ("manual", "on-request")

_OPEN, _CLOSE = "# /// stores", "# ///"
_LINE = re.compile(r"(?P<name>[A-Za-z0-9_-]+):\s*(?P<command>\S.*)")
_NEARLY = re.compile(r"\s*(?P<name>[\w.-]+)\s*:\s*(?P<command>\S.*)?")
#: RFC 9110, section 8.3.1, without parameters; ``text/*`` are all of a kind.
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/(?:\*|[A-Za-z0-9!#$&^_.+-]+)")
_HOST = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")


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
    service = _service(table, name, file, processes, root, repos, remote_domain)
    table.close()
    mistakes += table.mistakes
    if mistakes:
        raise MistakesError(*sorted(mistakes, key=lambda mistake: mistake.line))
    return service


def _bad_name(shown: str, name: str) -> Mistake:
    if name in RESERVED_NAMES:
        return Mistake(shown, 0, "", f'"{name}" is a name that the tool itself uses', "Rename the file.")
    usable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "my-service"
    return Mistake(shown, 0, "", f'"{name}" cannot be a host name', f"Rename the file, for example: {usable}")


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


def _service(
    table: Table, name: str, file: Path, processes: tuple[Process, ...], root: Path, repos: Path, remote_domain: str
) -> Service:
    directory = table.take("dir", str, "")
    return Service(
        name=name,
        file=file,
        dir=(root / Path(directory).expanduser()).resolve() if directory else (repos / name).resolve(),
        processes=processes,
        hosts=_hosts(table, name),
        description=table.take("description", str, ""),
        repo=table.take("repo", str, ""),
        port=_port(table),
        remote=_remote(table, name, remote_domain),
        ready=_ready(table),
        ready_timeout=table.take("ready_timeout", float, 60.0, _positive),
        needs=table.texts("needs", ()),
        grace=table.take("grace", float, 5.0, _positive),
        stop_signal=table.take("stop_signal", str, "SIGTERM", _signal),
        restart=table.take("restart", str, "on-failure", _policy),
        env=_env(table.table("env")),
        env_file=_env_file(table),
        setup=table.take("setup", str, "make setup"),
        terminal=table.take("terminal", bool, False),
        dir_set=bool(directory),
        start=table.take("start", str, "manual", _one_of(STARTS)),
        idle=_idle(table),
        writes=table.take("writes", str, "allow", _one_of(("allow", "deny"))),
        rewrite_body=_rewrite_body(table),
        subscription=subscription.read(table),
        api=api_route.read(table, name),
    )


def _hosts(table: Table, name: str) -> tuple[str, ...]:
    hosts = table.texts("hosts", (name,))
    for host in hosts:
        if not _HOST.fullmatch(host):
            table.wrong("hosts", f'"{host}" is not a host', f'Names under the domain, as: ["{name}", "*.{name}"]')
        elif host.removeprefix("*.") in RESERVED_NAMES:
            table.wrong("hosts", f'"{host}" is a name that the tool itself uses', "Choose another one.")
    return tuple(dict.fromkeys(hosts))


def _port(table: Table) -> int | None:
    port = table.take(
        "port", int, 0, lambda port: "" if 0 < port <= LAST_PORT else f"{port} is not a port (1 to 65535)"
    )
    return port or None


def _remote(table: Table, name: str, remote_domain: str) -> str | None:
    default = f"https://{name}.{remote_domain}" if remote_domain else ""
    value = table.any("remote", default)
    if value is False or value == "":
        return None
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/"):
        example = default or f"https://{name}.remote.example.com"
        table.wrong("remote", "remote must be an origin, or false", f'For example: remote = "{example}"')
        return None
    return f"{parts.scheme}://{parts.netloc}"


def _ready(table: Table) -> Ready:
    value = table.any("ready", {})
    if isinstance(value, str) and value.startswith("/"):
        return Ready(path=value)
    if isinstance(value, dict) and set(value) == {"log"} and isinstance(value["log"], str):
        try:
            re.compile(value["log"])
        except re.error as error:
            table.wrong("ready", f"not a regular expression: {error}", 'For example: ready = { log = "Listening on" }')
        return Ready(log=value["log"])
    if value != {}:
        table.wrong("ready", "not a way to be ready", 'Write ready = "/healthz" or ready = { log = "Listening on" }')
    return Ready()


def _positive(value: float) -> str:
    return "" if value > 0 else f"{value:g} s is not a time to wait"


def _signal(value: str) -> str:
    return "" if value in signal.Signals.__members__ else f'"{value}" is not a signal'


def _policy(value: str) -> str:
    return "" if value in RESTART_POLICIES else f'"{value}" is not one of {", ".join(RESTART_POLICIES)}'


def _one_of(words: tuple[str, ...]) -> Callable[[str], str]:
    return lambda value: "" if value in words else f'"{value}" is not one of {", ".join(words)}'


def _idle(table: Table) -> float:
    value = table.take("idle", str, "")
    try:
        return span.seconds(value) if value else 0.0
    except ValueError as error:
        table.wrong("idle", str(error), 'For example: idle = "15m"')
        return 0.0


def _rewrite_body(table: Table) -> tuple[str, ...]:
    types = table.texts("rewrite_body", ())
    for media_type in types:
        if not _MEDIA_TYPE.fullmatch(media_type):
            problem = f'"{media_type}" is not a media type'
            table.wrong("rewrite_body", problem, 'For example: rewrite_body = ["text/html"]')
    return tuple(media_type.lower() for media_type in types)


def _env(table: Table) -> dict[str, str]:
    values = {key: table.any(key) for key in table.keys()}
    for key, value in values.items():
        if not isinstance(value, str):
            table.wrong(
                key, f"{key} must be text: the environment knows nothing else", f'Write it as: {key} = "{value}"'
            )
    return {key: str(value) for key, value in values.items()}


def _env_file(table: Table) -> tuple[str, ...] | None:
    value = table.any("env_file")
    if value is None or isinstance(value, str):
        return (value,) if value else None
    return table.texts("env_file", ())
