"""`stores doctor`: walks the way of a request as this machine sees it, and names the first link that is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from procman import doctor_name, doctor_place, doctor_port, doctor_remote, doctor_trust
from procman.doctor_finding import Finding
from procman.doctor_scene import Scene

Check = Callable[[Scene], Iterator[Finding]]


def examine(scene: Scene) -> Iterator[Finding]:
    """Each finding as it is made, in the order of a request's way; what only surrounds it comes last."""
    way: tuple[Check, ...] = (
        doctor_place.files,
        doctor_name.resolver,
        doctor_name.names,
        doctor_port.ports,
        doctor_trust.authority,
        doctor_trust.programs,
        doctor_trust.stores,
        doctor_port.gateway,
        doctor_port.plain,
        doctor_place.supervisor,
        doctor_place.services,
        doctor_remote.remotes,
        doctor_name.browsers,
        doctor_place.installation,
    )
    for check in way:
        yield from check(scene)
