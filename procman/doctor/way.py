"""`stores doctor`: walks the way of a request as this machine sees it, and names the first link that is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from procman.doctor import name, place, port, remote, trust
from procman.doctor.finding import Finding
from procman.doctor.scene import Scene

Check = Callable[[Scene], Iterator[Finding]]


def examine(scene: Scene) -> Iterator[Finding]:
    """Each finding as it is made, in the order of a request's way; what only surrounds it comes last."""
    way: tuple[Check, ...] = (
        place.files,
        name.resolver,
        name.names,
        port.ports,
        trust.authority,
        trust.programs,
        trust.stores,
        port.gateway,
        port.plain,
        place.supervisor,
        place.services,
        remote.remotes,
        name.browsers,
        place.installation,
    )
    for check in way:
        yield from check(scene)
