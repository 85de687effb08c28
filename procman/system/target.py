"""What the system is to be prepared for: one workspace's domain, its ports, its CA."""

from __future__ import annotations

from dataclasses import dataclass

from certs.trust_store import Root
from procman.system.change import Part
from procman.workspace import Workspace

#: The workspace's own names, beside its services'.
_OWN = ("stores", "api-gateway", "auth", "events")


@dataclass(frozen=True, slots=True)
class Target:
    """`http` and `https`: the ports that 80 and 443 are to lead to, None where the workspace names its own.

    `names`: every name that is known without a wildcard, for a system whose resolver cannot be told of a domain.
    """

    domain: str
    http: int | None
    https: int | None
    dns: int
    names: tuple[str, ...]
    root: Root


@dataclass(frozen=True, slots=True)
class Impossible:
    """A part that cannot be done here, and why."""

    name: str
    why: str
    hint: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, what is in force already, and what cannot be done on this machine."""

    wanted: tuple[Part, ...] = ()
    done: tuple[Part, ...] = ()
    impossible: tuple[Impossible, ...] = ()


def names(workspace: Workspace) -> tuple[str, ...]:
    """The domain, our own names below it, and each service's."""
    domain = workspace.settings.domain
    hosts = [host for service in workspace.services for host in service.hosts if not host.startswith("*")]
    return (domain, *dict.fromkeys(f"{host}.{domain}" for host in (*_OWN, *hosts)))
