"""The environment of a service: the shell's own, what this tool adds, and nothing of what only concerns this tool."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from procman.environment import frameworks

#: What make tells its own children: a service's `make dev` would wait for a job server that is not its own.
_OF_MAKE = frozenset({"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MAKE_TERMOUT", "MAKE_TERMERR"})

_PROXY_VARIABLES = ("http_proxy", "https_proxy")
_LOOPBACK = "localhost,127.0.0.1,::1"


@dataclass(frozen=True, slots=True)
class Layers:
    """A process's environment, in the three parts of which the upper ones win.

    `below`: the service's ``.env`` files. `shell`: the user's own environment, to which mise and direnv belong where
    they are installed. `above`: what this tool tells, and over all of it the service's own ``env``.
    """

    below: dict[str, str]
    shell: dict[str, str]
    above: dict[str, str]

    def merged(self) -> dict[str, str]:
        """The whole environment. The hosts that the user allows himself are kept."""
        theirs = {**self.below, **self.shell}
        return {**theirs, **self.above, **frameworks.kept(self.above, theirs)}


def base(environ: Mapping[str, str]) -> dict[str, str]:
    """The user's environment without make's words and without this tool's own virtual environment."""
    values = {key: value for key, value in environ.items() if key not in _OF_MAKE}
    own = values.get("VIRTUAL_ENV")
    if own and Path(own).resolve() == Path(sys.prefix).resolve():
        del values["VIRTUAL_ENV"]
        own_bin = str(Path(own) / "bin")
        values["PATH"] = os.pathsep.join(part for part in values.get("PATH", "").split(os.pathsep) if part != own_bin)
    return values


def url_variable(service: str) -> str:
    """The variable that tells the URL of a service: STORES_<NAME>_URL."""
    return f"STORES_{service.upper().replace('-', '_')}_URL"


def of_service(service: str, process: str, port: int, urls: Mapping[str, str]) -> dict[str, str]:
    """What every process is told: its port, its name, and where the others are. `urls` has one URL a service."""
    return {
        "PORT": str(port),
        "HOST": "127.0.0.1",
        "STORES_SERVICE": service,
        "STORES_PROCESS": process,
        "STORES_URL": urls[service],
        **{url_variable(name): url for name, url in urls.items()},
        "PYTHONUNBUFFERED": "1",  # a program that sees no terminal would keep its output until it ends
    }


def of_gateway(domain: str, https: int) -> dict[str, str]:
    """Where the local API gateway is, and the issuer of the tokens that it gives to services."""
    return {url_variable(host): url(host, domain, https) for host in ("api-gateway", "auth")}


def url(host: str, domain: str, https: int) -> str:
    """A host's URL through the gateway."""
    port = "" if https == 443 else f":{https}"  # noqa: PLR2004 (https' own port)
    return f"https://{host}.{domain}{port}"


def proxy(environ: Mapping[str, str], port: int) -> dict[str, str]:
    """The gateway as HTTP proxy, for a machine whose DNS does not know the domain (yet).

    Nothing where the user has a proxy of his own: then this one would cut him off from what lies behind it.
    """
    if any(environ.get(name) or environ.get(name.upper()) for name in _PROXY_VARIABLES):
        return {}
    url = f"http://127.0.0.1:{port}"
    direct = ",".join(filter(None, [environ.get("no_proxy") or environ.get("NO_PROXY"), _LOOPBACK]))
    names = dict.fromkeys(_PROXY_VARIABLES, url) | {"no_proxy": direct}
    return names | {name.upper(): value for name, value in names.items()}
