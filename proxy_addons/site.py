"""Hosts and origins as text: what a client asked for, and the URL of it."""

from __future__ import annotations

from dataclasses import dataclass

from procman.rule import LAST_PORT

#: The ports that a URL leaves out.
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Site:
    """One origin: scheme, host (lower case, an IPv6 literal in brackets), port."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> Site:
        """From ``https://host[:port]``. Raises ``ValueError`` for anything that is no such origin."""
        scheme, separator, rest = url.partition("://")
        if not separator or scheme.lower() not in DEFAULT_PORTS:
            raise ValueError(f'"{url}" is not an origin')
        return cls.of_authority(scheme.lower(), rest.partition("/")[0])

    @classmethod
    def of_authority(cls, scheme: str, authority: str) -> Site:
        """From ``host[:port]``. Raises ``ValueError`` where that is not what `authority` is."""
        host, port = split_authority(authority)
        return cls(scheme, host, port or DEFAULT_PORTS[scheme])

    @property
    def authority(self) -> str:
        """``host``, or ``host:port`` where the port is not the scheme's own."""
        return self.host if self.port == DEFAULT_PORTS[self.scheme] else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        """As a URL without path."""
        return f"{self.scheme}://{self.authority}"


def split_authority(authority: str) -> tuple[str, int | None]:
    """Host and port of ``host[:port]``; the final dot of a name is dropped. Raises ``ValueError`` for anything else."""
    host, separator, port = authority.rpartition(":")
    if not separator or authority.endswith("]"):
        host, port = authority, ""
    host = host.strip().lower()
    literal = host.startswith("[") and host.endswith("]")
    if not host or (":" in host and not literal) or set(host) & set(" /?#@\\\t"):
        raise ValueError(f'"{authority}" is not HOST or HOST:PORT')
    # isdecimal alone would let through digits of other scripts
    if port and not (port.isascii() and port.isdecimal() and 0 < int(port) <= LAST_PORT):
        raise ValueError(f'"{authority}" has no port between 1 and 65535')
    return host.removesuffix("."), int(port) if port else None
