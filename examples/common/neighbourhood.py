"""The domain that the services of one workspace share, seen from the host that a request came for."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from common.message import Request


@dataclass(frozen=True)
class Neighbourhood:
    """`domain` holds all services; `branch` is what stands before the service's own name ("tokyo" of tokyo.netshop)."""

    scheme: str
    domain: str
    port: str
    branch: str = ""

    def url(self, service: str) -> str:
        return f"{self.scheme}://{service}.{self.domain}{self.port}"

    def holds(self, url: str) -> bool:
        """Whether an absolute URL leads to a service of this domain (and to nothing that only looks like it)."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        usable = parts.scheme in {"http", "https"} and not parts.username and "\\" not in url and url.isprintable()
        return usable and (host == self.domain or host.endswith(f".{self.domain}"))

    @property
    def cookie_domain(self) -> str:
        """For a cookie that all services see; empty where browsers allow none (one label: "localhost")."""
        return self.domain if "." in self.domain else ""


def neighbourhood(request: Request, service: str) -> Neighbourhood | None:
    """From ``[branch.]service.domain[:port]``; None when the request came for another kind of host (127.0.0.1)."""
    host, colon, port = request.host.partition(":")
    before, found, domain = f".{host}".rpartition(f".{service}.")
    if not found or not domain:
        return None
    return Neighbourhood(request.scheme, domain, colon + port, before.removeprefix("."))
