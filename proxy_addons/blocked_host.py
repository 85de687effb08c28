"""Recognizes the answer of a development server that does not know its host, and names the setting that lets it in.

The texts are the servers' own: `tests/test_blocked_host.py` holds them, as the real ones sent them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

#: Who refuses a host answers with one of these.
STATUSES: Final = frozenset((400, 403))
#: Bytes of an answer that are looked at. Django's page of a refused host says so after 5 kB.
MOST: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked: the host without its port, the domain of the workspace that it is below, the path."""

    host: str
    domain: str
    path: str = "/"

    @property
    def pattern(self) -> str:
        """The host and its neighbours, as most servers write it: a leading dot takes in what is below."""
        return f".{self.domain}" if self.host.endswith(f".{self.domain}") else self.host


@dataclass(frozen=True, slots=True)
class _Sign:
    """`text`: what is found in the answer. `advice`: with ``{host}`` and ``{pattern}``. `path`: where."""

    text: re.Pattern[bytes]
    advice: str
    path: str = "/"


_SIGNS: Final = (
    _Sign(
        re.compile(rb"\ABlocked request\. This host .{1,300} is not allowed\.[^`]*angular\.json"),
        "Angular refused the host {host}: start it with `ng serve --allowed-hosts {pattern}`, or set "
        '"allowedHosts": ["{pattern}"] under the serve target in angular.json',
    ),
    _Sign(
        re.compile(rb"\ABlocked request\. This host .{1,300} is not allowed\.[^`]*`preview\.allowedHosts`"),
        'Vite refused the host {host}: set preview.allowedHosts: ["{pattern}"] in vite.config.js',
    ),
    _Sign(
        re.compile(rb"\ABlocked request\. This host .{1,300} is not allowed\."),
        "Vite refused the host {host}: start the service with stores, which sets "
        '__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS, or set server.allowedHosts: ["{pattern}"] in vite.config.js',
    ),
    _Sign(
        re.compile(rb"\AInvalid Host header\s*\Z"),
        # without the second, its client looks for its WebSocket on the development server's own port
        "webpack-dev-server refused the host {host}: start it with "
        "`webpack serve --allowed-hosts {pattern} --client-web-socket-url auto://0.0.0.0:0/ws`, or set "
        'devServer: { allowedHosts: ["{pattern}"], client: { webSocketURL: "auto://0.0.0.0:0/ws" } } in '
        "webpack.config.js",
    ),
    _Sign(
        re.compile(rb"\AUnauthorized\Z"),
        'Next.js refused the host {host} for what it sends while developing: set allowedDevOrigins: ["*{pattern}"] '
        "in next.config.js",
        "/_next/",
    ),
    _Sign(
        re.compile(rb'<pre class="exception_value">Invalid HTTP_HOST header'),
        'Django refused the host {host}: set ALLOWED_HOSTS = ["{pattern}"] in its settings, and with it '
        'SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")',
    ),
    _Sign(
        re.compile(rb"Origin checking failed - https://[^ <]{1,300} does not match any trusted origins"),
        "Django does not know that {host} is served over https: set "
        'SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") in its settings',
    ),
    _Sign(
        re.compile(rb"Blocked hosts?: [^<\n]{1,300}.{0,600}config\.hosts (?:<<|&lt;&lt;)", re.DOTALL),
        "Rails refused the host {host}: start the service with stores, which sets RAILS_DEVELOPMENT_HOSTS, or add "
        'config.hosts << "{pattern}" to config/environments/development.rb',
    ),
    _Sign(
        re.compile(rb"<title>Jupyter Server</title>.*<h1>403 : Forbidden</h1>", re.DOTALL),
        "Jupyter refuses a host that it does not know, as its log says then: start it with "
        "`--ServerApp.local_hostnames={host}`",
    ),
    _Sign(
        re.compile(rb"\AInvalid host header\Z"),
        'Starlette (FastAPI) refused the host {host}: give its TrustedHostMiddleware allowed_hosts=["*{pattern}"]',
    ),
    _Sign(
        re.compile(rb"<p>Host (?:&#39;|').{1,300} is not trusted\.</p>"),
        'Flask refused the host {host}: set app.config["TRUSTED_HOSTS"] = ["{pattern}"]',
    ),
)


def advice(asked: Asked, text: bytes) -> str:
    """What to set, in one line; empty where `text`, the beginning of an answer, is no such refusal."""
    for sign in _SIGNS:
        if asked.path.startswith(sign.path) and sign.text.search(text):
            return sign.advice.replace("{host}", asked.host).replace("{pattern}", asked.pattern)
    return ""
