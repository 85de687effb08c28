"""Asks an authorizer that stands elsewhere, as Traefik's ForwardAuth and nginx's auth_request do (``mode = "http"``).

It gets the request's head without its body, as a GET, and what was asked for in ``X-Forwarded-Method``, ``-Proto``,
``-Host``, ``-Uri`` and ``-For``. With 2xx the request goes on; any other answer goes to the client as it is.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from procman.authorizer_settings import AuthorizerSettings
from proxy_addons import forwarded, hop_by_hop
from proxy_addons.api_gateway.refusal import RefusalError
from proxy_addons.events.http_client import HttpClient
from proxy_addons.events.http_connection import Answer, Place
from proxy_addons.problem import Code, Problem
from proxy_addons.site import DEFAULT_PORTS, Site
from proxy_addons.view import View

if TYPE_CHECKING:
    from mitmproxy.http import Headers, HTTPFlow

#: What concerns the body, which stays here, and what is said anew.
_LEFT_OUT: Final = frozenset(
    (
        *(*hop_by_hop.FIELDS, *hop_by_hop.PROXY_FIELDS, *forwarded.CLAIMS),
        *("host", "content-length", "transfer-encoding", "trailer", "expect", "forwarded", "x-forwarded-for"),
        *("x-forwarded-method", "x-forwarded-uri"),
    )
)
#: What concerns the connection to it, or the length of a body that was read and may be cut.
_OF_ANSWER: Final = frozenset((*hop_by_hop.FIELDS, "transfer-encoding", "content-length", "trailer"))


class External:
    """Connections to it are kept. It is asked for each request: what it allowed once it may deny the next time."""

    def __init__(self) -> None:
        self._client = HttpClient()
        self._context: ssl.SSLContext | None = None

    async def ask(self, flow: HTTPFlow, asked: Headers, site: Site, view: View) -> Answer:
        """Its answer. Raises `RefusalError` (503) where there is none in time."""
        settings = view.snapshot.authorizer
        try:
            async with asyncio.timeout(settings.timeout):
                return await self._client.request(
                    self._place(settings, view), _head(flow, asked, site, settings.url), b""
                )
        except TimeoutError as error:
            raise _unavailable(f"{settings.url} has not answered for {settings.timeout:g} s") from error
        except OSError as error:
            raise _unavailable(f"{settings.url}: {error}") from error

    def _place(self, settings: AuthorizerSettings, view: View) -> Place:
        parts = urlsplit(settings.url)
        site = Site(parts.scheme, parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme])
        if view.ours(site.host):
            # One of the workspace's services: the system's resolver need not know it, and no gateway need be asked.
            decision = view.decide(site)
            if not decision.upstreams or decision.remote is not None:
                raise _unavailable(f"{site.host}, the authorizer, does not run here")
            return Place(tuple(upstream.address for upstream in decision.upstreams))
        if site.scheme == "http":
            return Place(((site.host, site.port),))
        self._context = self._context or ssl.create_default_context()
        return Place(((site.host, site.port),), site.host, self._context)

    def close(self) -> None:
        """Closes what is kept."""
        self._client.close()


def fields_of(answer: Answer) -> list[tuple[bytes, bytes]]:
    """What the client is told of a refusal, but for what was the connection's own."""
    return [field for field in answer.fields if field[0].decode("latin-1").lower() not in _OF_ANSWER]


def _head(flow: HTTPFlow, asked: Headers, site: Site, url: str) -> bytes:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.netloc.rpartition("@")[2]
    said = (
        ("X-Forwarded-Method", flow.request.method),
        ("X-Forwarded-Proto", site.scheme),
        ("X-Forwarded-Host", site.authority),
        ("X-Forwarded-Uri", flow.request.path),
        ("X-Forwarded-For", flow.client_conn.peername[0]),
    )
    lines = [f"GET {target} HTTP/1.1".encode(), b"Host: " + host.encode()]
    lines += [name + b": " + value for name, value in asked.fields if name.decode("latin-1").lower() not in _LEFT_OUT]
    lines += [f"{name}: {value}".encode("utf-8", "surrogateescape") for name, value in said]
    return b"\r\n".join([*lines, b"", b""])


def _unavailable(detail: str) -> RefusalError:
    return RefusalError(Problem(Code.AUTHORIZER_UNAVAILABLE, detail))
