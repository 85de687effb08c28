"""What no file can know alone: whether the services of a workspace go together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from procman.mistake import Mistake, nearest
from procman.service import Service


def between(services: Sequence[Service], groups: Mapping[str, Sequence[str]]) -> list[Mistake]:
    """What no file can know alone: hosts and ports claimed twice, needs and groups that do not exist, cycles."""
    mistakes: list[Mistake] = []
    by_name = {service.name: service for service in services}
    mistakes += _claimed_twice(services, "host", lambda service: service.hosts)
    mistakes += _claimed_twice(services, "port", lambda service: (service.port,) if service.port else ())
    for service in services:
        for need in service.needs:
            if need not in by_name:
                mistakes.append(_mistake(service, f'needs "{need}", which is no service', nearest(need, [*by_name])))
        cycle = _cycle(service, by_name)
        if cycle:
            mistakes.append(_mistake(service, f"needs itself: {' → '.join(cycle)}", "Take one of these needs out."))
    for group, names in groups.items():
        for name in names:
            if name not in by_name:
                problem = f'group "{group}" has "{name}", which is no service'
                mistakes.append(Mistake("stores.toml", 0, "", problem, nearest(name, [*by_name])))
        if group in by_name:
            problem = f'"{group}" is both a group and a service'
            mistakes.append(Mistake("stores.toml", 0, "", problem, "Give the group another name."))
    return mistakes


def _shown(service: Service) -> str:
    return f"{service.file.parent.name}/{service.name}"


def _mistake(service: Service, problem: str, mend: str) -> Mistake:
    return Mistake(_shown(service), 0, "", problem, mend)


def _claimed_twice(
    services: Iterable[Service], what: str, claims: Callable[[Service], Iterable[object]]
) -> list[Mistake]:
    owners: dict[object, Service] = {}
    mistakes = []
    for service in services:
        for claim in claims(service):
            owner = owners.setdefault(claim, service)
            if owner is not service:
                problem = f'{what} "{claim}" is already claimed by {_shown(owner)}'
                mistakes.append(
                    _mistake(service, problem, f"Take it out of one of the two files, or choose another {what}.")
                )
    return mistakes


def _cycle(service: Service, by_name: Mapping[str, Service]) -> list[str]:
    """The way from a service back to itself along `needs`; empty when there is none. Its first name reports it."""
    trail: list[str] = []

    def walk(name: str) -> bool:
        if name in trail:
            return name == service.name
        trail.append(name)
        if any(walk(need) for need in by_name[name].needs if need in by_name):
            return True
        trail.pop()
        return False

    return [*trail, service.name] if walk(service.name) and service.name == min(trail) else []
