"""``[authorizer]`` of ``stores.toml``: how the API gateway finds out who calls, and how it tells the services."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from procman import rule, span
from procman.identity import NOBODY, Identity
from procman.mistake import nearest
from procman.table import Table

#: The issuer's host, below the domain and below localhost.
ISSUER_HOST = "auth"
MODES = ("dummy", "remote", "mixed", "http", "none")
ALGORITHMS = ("ES256", "RS256")
PRESETS = ("gcp-apigateway", "iap", "cloudflare-access", "kong")
#: What becomes of a bearer token that is not ours: 401, as if it were not there, or the identity of that name.
UNKNOWN_TOKEN = ("deny", "ignore")
#: Seconds. No token lives longer: for so long a verifier must know the key that signed it, also after new ones.
LONGEST_TTL = 30 * 86400.0

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]+")
_FIELD = re.compile(r"\{[A-Za-z0-9_.-]+\}")
#: Headers that frame or route a request: a template for one of them would break the request that it is put into.
_NOT_OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect", "keep-alive"}
)


@dataclass(frozen=True, slots=True)
class AuthorizerSettings:
    """What the authorizer is told. Times in seconds.

    `default`: who calls when nothing says so; empty: nobody. `issuer`, `audience`: empty for the ones that follow from
    the domain (`issuer_for`, `audience_for`). `headers`: name to template (``"{sub}"``), None for those of the preset.
    `url`, `timeout`, `response_headers`: the external authorizer of mode ``http``. `remote`: the remote API gateway's
    origin (`remote_for`).
    """

    mode: str = "dummy"
    default: str = ""
    unknown_token: str = UNKNOWN_TOKEN[0]
    issuer: str = ""
    audience: str = ""
    alg: str = "ES256"
    ttl: float = 3600.0
    headers: Mapping[str, str] | None = None
    preset: str = ""
    url: str = ""
    timeout: float = 5.0
    response_headers: tuple[str, ...] = ()
    remote: str = ""

    def issuer_for(self, domain: str) -> str:
        """``iss`` of our tokens."""
        return self.issuer or f"https://{ISSUER_HOST}.{domain}"

    def audience_for(self, domain: str) -> str:
        """``aud`` of our tokens, and the one that a caller's token must name."""
        return self.audience or f"https://api-gateway.{domain}"

    def remote_for(self, remote_domain: str) -> str:
        """The origin of the remote API gateway; empty where there is no remote."""
        return self.remote or (f"https://api-gateway.{remote_domain}" if remote_domain else "")

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> AuthorizerSettings:
        """From `to_json`'s result."""
        return cls(**{**value, "response_headers": tuple(value["response_headers"])})


def read(table: Table) -> AuthorizerSettings:
    """The settings in the table. What is wrong is noted in it."""
    settings = AuthorizerSettings(
        mode=table.take("mode", str, "dummy", rule.one_of(*MODES)),
        default=table.take("default", str, ""),
        unknown_token=table.take("unknown_token", str, "deny"),
        issuer=table.take("issuer", str, "", _origin).rstrip("/"),
        audience=table.take("audience", str, ""),
        alg=table.take("alg", str, "ES256", rule.one_of(*ALGORITHMS)),
        ttl=_ttl(table),
        headers=_templates(table.table("headers")) if "headers" in table.values else None,
        preset=table.take("preset", str, "", lambda value: rule.one_of(*PRESETS)(value) if value else ""),
        url=table.take("url", str, "", _url),
        timeout=_span(table, "timeout", "5s"),
        response_headers=table.texts("response_headers", ()),
        remote=table.take("remote", str, "", _origin).rstrip("/"),
    )
    table.any("headers")
    for name in settings.response_headers:
        _check_name(table, "response_headers", name)
    table.close()
    return settings


def unclear(
    settings: AuthorizerSettings, identities: Mapping[str, Identity], remote_domain: str
) -> Iterator[tuple[str, str, str]]:
    """What can be wrong once all files are laid over each other: key, problem and mend."""
    for key, value, words in (
        ("default", settings.default, ("", NOBODY)),
        ("unknown_token", settings.unknown_token, UNKNOWN_TOKEN),
    ):
        if value not in identities and value not in words:
            yield key, f'"{value}" is no identity', nearest(value, [*sorted(identities), *filter(None, words)])
    if settings.mode == "http" and not settings.url:
        yield (
            "mode",
            "the mode http asks an authorizer, and none is named",
            'Name it: url = "http://127.0.0.1:9000/auth"',
        )
    if settings.mode in {"remote", "mixed"} and not settings.remote_for(remote_domain):
        mend = 'Name it: remote = "https://api-gateway.remote.example.com"'
        yield "mode", f"the mode {settings.mode} asks the remote API gateway, and there is no remote", mend


def _ttl(table: Table) -> float:
    found = _span(table, "ttl", "1h")
    if found <= LONGEST_TTL:
        return found
    table.wrong("ttl", "no token lives longer than 30 days", 'The longest: ttl = "30d"')
    return LONGEST_TTL


def _span(table: Table, key: str, default: str) -> float:
    text = table.take(key, str, default)
    try:
        return span.seconds(text)
    except ValueError as error:
        table.wrong(key, str(error), f'For example: {key} = "{default}"')
        return span.seconds(default)


def _url(value: str) -> str:
    parts = rule.url(value)
    fits = not value or (
        parts and parts.scheme in {"http", "https"} and parts.hostname and not parts.fragment and not parts.username
    )
    return "" if fits else f'"{value}" is not a URL like http://127.0.0.1:9000/auth'


def _origin(value: str) -> str:
    fits = not value or (not _url(value) and not urlsplit(value).query)
    return "" if fits else f'"{value}" is not a URL like https://auth.local.example.com'


def _templates(table: Table) -> dict[str, str]:
    found = {}
    for name in table.keys():
        value = table.any(name)
        if not _check_name(table, name, name):
            continue
        if not isinstance(value, str) or not value or not value.isprintable() or set("{}") & set(_FIELD.sub("", value)):
            example = f'For example: "{name}" = "{{sub}}", with {{name}}, {{scopes}}, {{token}} or a claim in braces'
            table.wrong(name, f"{name} is not a template", example)
        else:
            found[name] = value
    return found


def _check_name(table: Table, key: str, name: str) -> bool:
    """No underscore either: many servers take ``X_User_Id`` for ``X-User-Id``, and the gateway removes both."""
    if not _HEADER.fullmatch(name):
        table.wrong(key, f'"{name}" is not the name of a header', 'For example: "X-User-Id"')
        return False
    if name.lower() in _NOT_OURS:
        table.wrong(key, f'"{name}" frames or routes the request', "The authorizer cannot set it: choose another name.")
        return False
    return True
