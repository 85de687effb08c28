"""Translates what a remote says about itself into what this side is called, and back: pure functions, text to text.

Only the workspace's own names are touched. A third party's URL (an identity provider's redirect, a CDN) stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from proxy_addons.remote.names import Names
from proxy_addons.site import DEFAULT_PORTS, Site, split_authority

Fields = list[tuple[str, str]]

_URL = re.compile(r"(?:(?P<scheme>https?|wss?):)?//(?P<authority>[^/?#]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_LINK_TARGET = re.compile(r"<([^<>]*)>")
#: What may be a source with a host in a policy: the rest is directives, keywords in quotes, nonces and bare schemes.
_SOURCE = re.compile(
    r"(?<![^\s;,])(?:[a-zA-Z][a-zA-Z0-9+.-]*://)?(?:\*\.)?[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::(?:[0-9]+|\*))?(?:/[^\s;,]*)?(?![^\s;,])"
)
_REFRESH = re.compile(
    r"(?P<head>\s*[\d.]+\s*[;,]\s*(?:url\s*=\s*)?)(?P<quote>['\"]?)(?P<url>.*)", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Translation:
    """One request's two sides: `local` as the client sees it, `remote` as the answering host sees itself.

    `relative` and `domain` are the parts of the local host. `ports` are the gateway's: an origin with another port is
    some other program's. `origin` is the client's Origin header, which a CORS answer has to repeat to the letter.
    """

    names: Names
    local: Site
    remote: Site
    relative: str
    domain: str
    ports: frozenset[int] = frozenset()
    origin: str = ""

    def to_local(self, url: str) -> str:
        """A remote URL as the client can reach it here; any other text as it is."""
        match = _URL.fullmatch(url.strip())
        if match is None:
            return url
        scheme = (match["scheme"] or self.remote.scheme).lower()
        site = _site(scheme, match["authority"])
        host = self._local_host(site.host, site.port) if site else None
        if host is None:
            return url
        local = Site(self.local.scheme, host, self.local.port)
        web_socket = scheme in {"ws", "wss"}
        prefix = (
            f"{self.local.scheme.replace('http', 'ws') if web_socket else self.local.scheme}:"
            if match["scheme"]
            else ""
        )
        return f"{prefix}//{local.authority}{match['rest']}"

    def to_remote(self, url: str) -> str:
        """A local URL of the workspace as the remote knows it; any other text as it is."""
        match = _URL.fullmatch(url.strip())
        site = _site((match["scheme"] or "").lower(), match["authority"]) if match and match["scheme"] else None
        if match is None or site is None or site.port not in self.ports | {self.local.port}:
            return url
        remote = self._remote_site(site.host)
        return f"{remote}{match['rest']}" if remote else url

    def _local_host(self, host: str, port: int | None) -> str | None:
        if host == self.remote.host and port in {None, self.remote.port}:
            return self.local.host
        relative = self.names.local(host, port)
        return None if relative is None else f"{relative}.{self.domain}"

    def _remote_site(self, host: str) -> Site | None:
        if host == self.local.host:
            return self.remote
        suffix = f".{self.domain}"
        return self.names.remote(host.removesuffix(suffix)) if host.endswith(suffix) else None

    def cookie_domain(self, domain: str) -> str | None:
        """What a cookie's Domain becomes; the same text for a third party's, None for "this host alone".

        A domain that covers the whole remote, or more, becomes the whole local domain; below ``localhost`` it must go:
        browsers take it for a public suffix and refuse the cookie.
        """
        name = domain.strip().lstrip(".").lower()
        if not _covers(name, self.remote.host):
            return domain
        whole = self.names.remote_domain
        if whole and _covers(name, whole):
            return self.domain if "." in self.domain else None
        return self._local_host(name, None) or domain

    def request(self, fields: Fields) -> Fields:
        """A request's header fields on their way out."""
        return _each(fields, {"origin": self.to_remote, "referer": self.to_remote})

    def response(self, fields: Fields) -> Fields:
        """A response's header fields on their way back."""
        rules: dict[str, Callable[[str], str]] = {
            "location": self.to_local,
            "content-location": self.to_local,
            "link": lambda value: _LINK_TARGET.sub(lambda match: f"<{self.to_local(match[1])}>", value),
            "refresh": self._refresh,
            "set-cookie": self._set_cookie,
            "access-control-allow-origin": self._allow_origin,
            "content-security-policy": self._policy,
            "content-security-policy-report-only": self._policy,
        }
        return _each([(name, value) for name, value in fields if name.lower() not in NOT_TRANSLATABLE], rules)

    def _refresh(self, value: str) -> str:
        match = _REFRESH.fullmatch(value)
        if match is None:
            return value
        url = match["url"].rstrip(match["quote"]) if match["quote"] else match["url"]
        return f"{match['head']}{match['quote']}{self.to_local(url)}{match['quote']}"

    def _policy(self, value: str) -> str:
        """A source of CSP is a URL, or a bare host (``account.remote.example.com``, ``*.remote.example.com:443``)."""
        return _SOURCE.sub(lambda match: self._source(match[0]), value)

    def _source(self, source: str) -> str:
        if "://" in source:
            scheme, _, rest = source.partition("://")
            wild = "*." if rest.startswith("*.") else ""
            translated = self.to_local(f"{scheme}://{rest.removeprefix(wild)}")
            before, _, after = translated.partition("://")
            return source if translated == f"{scheme}://{rest.removeprefix(wild)}" else f"{before}://{wild}{after}"
        wild = "*." if source.startswith("*.") else ""
        name, _, port = source.removeprefix(wild).partition(":")
        number = int(port) if port.isdecimal() else None
        if wild and name == self.names.remote_domain:
            return f"*.{self.domain}:{self.local.port}"
        host = self._local_host(name.lower(), number)
        return source if host is None else f"{wild}{host}:{self.local.port}"

    def _allow_origin(self, value: str) -> str:
        if self.origin and value.strip() == self.to_remote(self.origin):
            return self.origin
        return self.to_local(value)

    def _set_cookie(self, value: str) -> str:
        return set_cookie(value, self.cookie_domain, secure=self.local.scheme == "https")


#: Speaks about the remote's own name and port, where only its own connections can follow: HSTS would turn every plain
#: http request to the local name into https on the same port; Alt-Svc would lead to a port where nobody listens.
NOT_TRANSLATABLE = frozenset({"strict-transport-security", "alt-svc"})

#: Browsers take these prefixes only together with ``Secure`` (RFC 6265bis, section 4.1.3).
_NEEDS_SECURE = ("__secure-", "__host-")


def set_cookie(value: str, domain_of: Callable[[str], str | None], *, secure: bool) -> str:
    """One ``Set-Cookie`` value with its Domain mapped; without ``Secure`` where the client's side is plain http.

    With Secure go the attributes that browsers refuse without it: ``SameSite=None`` and ``Partitioned``.
    """
    pair, *attributes = value.split(";")
    keep_secure = secure or pair.strip().lower().startswith(_NEEDS_SECURE)
    kept = [pair]
    for attribute in attributes:
        name, _, text = attribute.partition("=")
        name = name.strip().lower()
        if name == "domain" and text.strip():
            domain = domain_of(text)
            if domain is not None:
                kept.append(attribute if domain == text else f" Domain={domain}")
        elif keep_secure or not (
            name in {"secure", "partitioned"} or (name, text.strip().lower()) == ("samesite", "none")
        ):
            kept.append(attribute)
    return ";".join(kept)


def _each(fields: Fields, rules: dict[str, Callable[[str], str]]) -> Fields:
    return [(name, rules[name.lower()](value) if name.lower() in rules else value) for name, value in fields]


def _site(scheme: str, authority: str) -> Site | None:
    """None for what is no plain host and port; one with user information is somebody's trick, and stays as it is."""
    try:
        host, port = split_authority(authority)
    except ValueError:
        return None
    return Site(scheme, host, port or DEFAULT_PORTS[scheme]) if scheme in DEFAULT_PORTS else None


def _covers(domain: str, host: str) -> bool:
    """Domain-match of RFC 6265, section 5.1.3."""
    return host == domain or host.endswith(f".{domain}")
