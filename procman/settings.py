"""``stores.toml``: what belongs to the workspace; ``stores.local.toml`` overrides it for one person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from procman import authorizer_settings, event_settings, identity, rule
from procman.authorizer_settings import AuthorizerSettings
from procman.event_settings import EventSettings
from procman.identity import Identity
from procman.table import Table

FILES = ("stores.toml", "stores.local.toml")

_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
_PROXY = re.compile(r"http://[^/@\s:]+:[0-9]{1,5}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONNECT_TO = re.compile(
    r"(?P<host>[^:\[\]]*):(?P<port>\d*):(?P<to_host>[^:\[\]]*|\[[0-9a-fA-F:.]+\]):(?P<to_port>\d*)"
)


#: Names that look like production: nothing goes there from a laptop, unless ``forbid`` says otherwise.
PRODUCTION = tuple(
    pattern
    for word in ("prod", "production")
    for pattern in (f"{word}.*", f"*.{word}.*", f"{word}-*", f"*.{word}-*", f"*-{word}.*")
)


@dataclass(frozen=True, slots=True)
class ConnectTo:
    """One of curl's ``--connect-to`` rules; an empty `host` or `port` means any, an empty target means unchanged."""

    host: str
    port: str
    to_host: str
    to_port: str

    @classmethod
    def parse(cls, text: str) -> ConnectTo:
        """From ``HOST1:PORT1:HOST2:PORT2``; HOST1 may begin with ``*.``, an IPv6 HOST2 stands in brackets."""
        match = _CONNECT_TO.fullmatch(text)
        if match is None:
            raise ValueError(f'"{text}" is not HOST1:PORT1:HOST2:PORT2')
        for port in filter(None, (match["port"], match["to_port"])):
            if len(port) > len(str(rule.LAST_PORT)) or not 0 < int(port) <= rule.LAST_PORT:
                raise ValueError(f'"{text}" has a port that there is not: {port[:20]}')
        return cls(match["host"].lower(), match["port"], match["to_host"].strip("[]"), match["to_port"])

    def __str__(self) -> str:
        """As it is written in ``stores.toml``."""
        to_host = f"[{self.to_host}]" if ":" in self.to_host else self.to_host
        return f"{self.host}:{self.port}:{to_host}:{self.to_port}"

    def target(self, host: str, port: int) -> tuple[str, int] | None:
        """Where a connection to `host`:`port` goes by this rule; None where the rule is about another name."""
        wild = self.host.startswith("*.") and host.endswith(self.host[1:])
        if not (self.host in {"", host} or wild) or self.port not in {"", str(port)}:
            return None
        return self.to_host or host, int(self.to_port or port)


@dataclass(frozen=True, slots=True)
class Remote:
    """The shared development environment, and how it is reached from here.

    `headers` are added to each request for it; a value says where the secret is had from, ``env:NAME`` or
    ``command:…``, and never what it is. `forbid`: patterns of hosts to which nothing is ever sent.
    """

    domain: str = "remote.example.com"
    connect_to: tuple[ConnectTo, ...] = ()
    ca: Path | None = None
    headers: dict[str, str] = field(default_factory=dict)
    proxy: str = ""
    forbid: tuple[str, ...] = PRODUCTION


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that ``stores.toml`` can say. A port of None is the default one, 0 any free one."""

    domain: str = "local.example.com"
    repos: Path = Path("..")
    http: int | None = None
    https: int | None = None
    redirect_to_https: bool = False
    dns: int | None = None
    proxy: str = "auto"
    shell: str = "auto"
    shell_timeout: float = 20.0
    remote: Remote = field(default_factory=Remote)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    events: EventSettings = field(default_factory=EventSettings)
    identities: Mapping[str, Identity] = field(default_factory=dict)
    authorizer: AuthorizerSettings = field(default_factory=AuthorizerSettings)


def overrides(environ: Mapping[str, str]) -> dict[str, Any]:
    """What ``STORES_*`` variables say, in the shape of ``stores.toml``. They win over both files."""
    values: dict[str, Any] = {}
    for variable, keys in _VARIABLES.items():
        text = environ.get(variable)
        if text:
            table = values
            for key in keys[:-1]:
                table = table.setdefault(key, {})
            table[keys[-1]] = _typed(keys[-1], text)
    return values


_VARIABLES = {
    "STORES_DOMAIN": ("domain",),
    "STORES_REPOS": ("repos",),
    "STORES_HTTP_PORT": ("gateway", "http"),
    "STORES_HTTPS_PORT": ("gateway", "https"),
    "STORES_DNS_PORT": ("dns", "port"),
    "STORES_PROXY": ("environment", "proxy"),
    "STORES_SHELL": ("environment", "shell"),
    "STORES_SHELL_TIMEOUT": ("environment", "shell_timeout"),
    "STORES_REMOTE_DOMAIN": ("remote", "domain"),
    "STORES_REMOTE_CONNECT_TO": ("remote", "connect_to"),
    "STORES_REMOTE_CA": ("remote", "ca"),
    "STORES_EVENTS_PORT": ("events", "port"),
    "STORES_EVENTS_REMOTE": ("events", "remote"),
    "STORES_EVENTS_ENGINE": ("events", "engine"),
}


def _typed(key: str, text: str) -> Any:
    """A variable's text as the type of its key; a wrong one stays text, and `read` refuses it like any other."""
    if key in {"http", "https", "port"}:
        return int(text) if text.isdecimal() else text
    if key == "shell_timeout":
        return float(text) if text.replace(".", "", 1).isdecimal() else text
    return text.split() if key == "connect_to" else text


def merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`, table by table; a list replaces a list."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def read(table: Table, root: Path) -> Settings:
    """The settings in a table. What is wrong is noted in the table, and raised by its `close`."""
    gateway, dns, environment = table.table("gateway"), table.table("dns"), table.table("environment")
    remote, groups = table.table("remote"), table.table("groups")
    settings = Settings(
        domain=table.take("domain", str, "local.example.com", _domain),
        repos=_path(root, table.take("repos", str, "..", rule.path(root))),
        http=_port(gateway, "http"),
        https=_port(gateway, "https"),
        redirect_to_https=gateway.take("redirect_to_https", bool, False),
        dns=_port(dns, "port"),
        proxy=environment.take("proxy", str, "auto", rule.one_of("auto", "always", "never")),
        shell=environment.take("shell", str, "auto", rule.one_of("auto", "never")),
        shell_timeout=environment.take("shell_timeout", float, 20.0, rule.patience),
        remote=Remote(
            domain=remote.take("domain", str, "remote.example.com", _remote_domain),
            connect_to=_connect_to(remote),
            ca=_path(root, ca) if (ca := remote.take("ca", str, "", rule.path(root))) else None,
            headers=_headers(remote.table("headers")),
            proxy=remote.take("proxy", str, "", _proxy_url),
            forbid=remote.texts("forbid", PRODUCTION),
        ),
        groups={name: groups.texts(name, ()) for name in groups.keys()},
        events=event_settings.read(table.table("events"), root),
        identities=identity.read(table.table("identity")),
        authorizer=authorizer_settings.read(table.table("authorizer")),
    )
    for inner in (gateway, dns, environment, remote, groups, table):
        inner.close()
    return settings


def _domain(value: str) -> str:
    return "" if _DOMAIN.fullmatch(value) else f'"{value}" is not a domain with a dot in it, in lower case'


def _remote_domain(value: str) -> str:
    return _domain(value) if value else ""


def _proxy_url(value: str) -> str:
    return "" if not value or _PROXY.fullmatch(value) else f'"{value}" is not http://HOST:PORT'


def _headers(table: Table) -> dict[str, str]:
    found = {}
    for name in table.keys():
        value = table.any(name)
        if not _HEADER.fullmatch(name):
            table.wrong(name, f'"{name}" is not the name of a header', 'For example: "X-Access-Id" = "env:ACCESS_ID"')
        elif not isinstance(value, str) or not value.startswith(("env:", "command:")):
            mend = f'Keep the secret elsewhere: "{name}" = "env:NAME", or "command:…" that prints it'
            table.wrong(name, f"{name} must say where its value is, and not what it is", mend)
        else:
            found[name] = value
    return found


def _port(table: Table, key: str) -> int | None:
    port = table.take(key, int, -1, rule.port(least=0))
    return None if port < 0 else port


def _path(root: Path, text: str) -> Path:
    return (root / Path(text).expanduser()).resolve()


def _connect_to(table: Table) -> tuple[ConnectTo, ...]:
    rules = []
    for text in table.texts("connect_to", ()):
        try:
            rules.append(ConnectTo.parse(text))
        except ValueError as error:
            table.wrong(
                "connect_to", str(error), 'As curl has it: connect_to = ["*.remote.example.com:443:127.0.0.1:9443"]'
            )
    return tuple(rules)
