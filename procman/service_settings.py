"""The keys of a service's metadata block, each with what may stand there: a TOML table becomes a `Service`."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from procman import api_route, rule, span, subscription
from procman.service import RESERVED_NAMES, Process, Ready, Service
from procman.table import Table

RESTART_POLICIES = ("always", "on-failure", "never")
STARTS = ("manual", "on-request")
WRITES = ("allow", "deny")

#: RFC 9110, section 8.3.1, without parameters; ``text/*`` are all of a kind.
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/(?:\*|[A-Za-z0-9!#$&^_.+-]+)")
_HOST = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")


def read(
    table: Table, name: str, file: Path, processes: tuple[Process, ...], root: Path, repos: Path, remote_domain: str
) -> Service:
    """The service `name` of `file`; what is wrong with a key is noted in `table`, and its default taken instead.

    `root`: where a relative `dir` starts. `repos`: where repositories stand by default. `remote_domain`: "" for none.
    """
    directory = table.take("dir", str, "", rule.path(root))
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
        ready_timeout=table.take("ready_timeout", float, 60.0, rule.patience),
        needs=table.texts("needs", ()),
        grace=table.take("grace", float, 5.0, rule.patience),
        stop_signal=table.take("stop_signal", str, "SIGTERM", _signal),
        restart=table.take("restart", str, "on-failure", rule.one_of(*RESTART_POLICIES)),
        env=_env(table.table("env")),
        env_file=_env_file(table, root),
        setup=table.take("setup", str, "make setup"),
        terminal=table.take("terminal", bool, False),
        dir_set=bool(directory),
        start=table.take("start", str, "manual", rule.one_of(*STARTS)),
        idle=_idle(table),
        writes=table.take("writes", str, "allow", rule.one_of(*WRITES)),
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
    return table.take("port", int, 0, rule.port()) or None


def _remote(table: Table, name: str, remote_domain: str) -> str | None:
    default = f"https://{name}.{remote_domain}" if remote_domain else ""
    value = table.any("remote", default)
    if value is False or value == "":
        return None
    parts = rule.url(value) if isinstance(value, str) else None
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
            re.compile(value["log"].encode())  # what is matched are bytes, which know neither \u2713 nor (?u)
        except (re.error, ValueError, OverflowError, RecursionError) as error:
            table.wrong("ready", f"not a regular expression: {error}", 'For example: ready = { log = "Listening on" }')
        return Ready(log=value["log"])
    if value != {}:
        table.wrong("ready", "not a way to be ready", 'Write ready = "/healthz" or ready = { log = "Listening on" }')
    return Ready()


def _signal(value: str) -> str:
    return "" if value in signal.Signals.__members__ else f'"{value}" is not a signal'


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
        if not key or set("=\0") & set(key):
            table.wrong(key, f'"{key}" cannot be the name of a variable', 'For example: LOG_LEVEL = "debug"')
        elif isinstance(value, str) and "\0" in value:
            table.wrong(key, f"{key} has a NUL, which no variable can hold", "Take it out.")
        elif not isinstance(value, str):
            table.wrong(
                key, f"{key} must be text: the environment knows nothing else", f'Write it as: {key} = "{value}"'
            )
    return {key: str(value) for key, value in values.items()}


def _env_file(table: Table, root: Path) -> tuple[str, ...] | None:
    value = table.any("env_file")
    names = (value,) if isinstance(value, str) else table.texts("env_file", ())
    for problem in filter(None, map(rule.path(root), names)):
        table.wrong("env_file", problem, 'For example: env_file = [".env", ".env.local"]')
    return None if value is None or value == "" else names
