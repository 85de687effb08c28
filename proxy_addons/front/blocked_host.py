"""Recognizes the answer of a development server that does not know its host, and names the setting that lets it in.

The texts are the servers' own: `tests/test_blocked_host.py` holds them, as the real ones sent them.
"""

from __future__ import annotations

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
    """Words that stand in the answer in this order, and the advice then, with ``{host}`` and ``{pattern}``.

    `begins`: the answer begins with the first of them; `whole`: it is that one. `path`: only below it. No patterns: a
    service must not be able to occupy the gateway by an answer that takes long to match.
    """

    words: tuple[bytes, ...]
    advice: str
    begins: bool = False
    whole: bool = False
    path: str = "/"

    def stands_in(self, text: bytes) -> bool:
        """Whether this is it."""
        if self.whole:
            return text.strip() == self.words[0]
        if self.begins and not text.startswith(self.words[0]):
            return False
        at = 0
        for word in self.words:
            at = text.find(word, at) + len(word)
            if at < len(word):
                return False
        return True


_VITE: Final = (b"Blocked request. This host ", b" is not allowed.")
_SIGNS: Final = (
    _Sign(
        (*_VITE, b"angular.json"),
        "Angular refused the host {host}: start it with `ng serve --allowed-hosts {pattern}`, or set "
        '"allowedHosts": ["{pattern}"] under the serve target in angular.json',
        begins=True,
    ),
    _Sign(
        (*_VITE, b"`preview.allowedHosts`"),
        'Vite refused the host {host}: set preview.allowedHosts: ["{pattern}"] in vite.config.js',
        begins=True,
    ),
    _Sign(
        _VITE,
        "Vite refused the host {host}: start the service with stores, which sets "
        '__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS, or set server.allowedHosts: ["{pattern}"] in vite.config.js',
        begins=True,
    ),
    _Sign(
        (b"Invalid Host header",),
        # without the second, its client looks for its WebSocket on the development server's own port
        "webpack-dev-server refused the host {host}: start it with "
        "`webpack serve --allowed-hosts {pattern} --client-web-socket-url auto://0.0.0.0:0/ws`, or set "
        'devServer: { allowedHosts: ["{pattern}"], client: { webSocketURL: "auto://0.0.0.0:0/ws" } } in '
        "webpack.config.js",
        whole=True,
    ),
    _Sign(
        (b"Unauthorized",),
        'Next.js refused the host {host} for what it sends while developing: set allowedDevOrigins: ["*{pattern}"] '
        "in next.config.js",
        whole=True,
        path="/_next/",
    ),
    _Sign(
        (b'<pre class="exception_value">Invalid HTTP_HOST header',),
        'Django refused the host {host}: set ALLOWED_HOSTS = ["{pattern}"] in its settings, and with it '
        'SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")',
    ),
    _Sign(
        (b"Origin checking failed - https://", b" does not match any trusted origins"),
        "Django does not know that {host} is served over https: set "
        'SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") in its settings',
    ),
    _Sign(
        (b"Blocked host", b"To allow requests to ", b"config.hosts "),
        "Rails refused the host {host}: start the service with stores, which sets RAILS_DEVELOPMENT_HOSTS, or add "
        'config.hosts << "{pattern}" to config/environments/development.rb',
    ),
    _Sign(
        (b"<title>Jupyter Server</title>", b"<h1>403 : Forbidden</h1>"),
        "Jupyter refuses a host that it does not know, as its log says then: start it with "
        "`--ServerApp.local_hostnames={host}`",
    ),
    _Sign(
        (b"Invalid host header",),
        'Starlette (FastAPI) refused the host {host}: give its TrustedHostMiddleware allowed_hosts=["*{pattern}"]',
        whole=True,
    ),
    _Sign(
        (b"<h1>Bad Request</h1>", b"<p>Host ", b" is not trusted.</p>"),
        'Flask refused the host {host}: set app.config["TRUSTED_HOSTS"] = ["{pattern}"]',
    ),
)


def advice(asked: Asked, text: bytes) -> str:
    """What to set, in one line; empty where `text`, the beginning of an answer, is no such refusal."""
    for sign in _SIGNS:
        if asked.path.startswith(sign.path) and sign.stands_in(text):
            return sign.advice.replace("{host}", asked.host).replace("{pattern}", asked.pattern)
    return ""
