"""What no file can know alone: whether the services of a workspace go together."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from procman import text_file
from procman.mistake import Mistake, nearest
from procman.service import Service


def between(
    services: Sequence[Service], groups: Mapping[str, Sequence[str]], absent: Collection[str] = ()
) -> list[Mistake]:
    """What no file can know alone: hosts and ports claimed twice, needs and groups that do not exist, cycles.

    `absent` are services whose own files are wrong, which is said already: they may be named.
    """
    mistakes: list[Mistake] = []
    by_name = {service.name: service for service in services}
    mistakes += _claimed_twice(services, "hosts", lambda service: service.hosts)
    mistakes += _claimed_twice(services, "route", lambda service: (service.api.prefix,) if service.api else ())
    mistakes += _claimed_twice(services, "port", lambda service: (service.port,) if service.port else ())
    for service in services:
        for need in service.needs:
            if need not in by_name and need not in absent:
                mistakes.append(
                    _mistake(service, "needs", f'needs "{need}", which is no service', nearest(need, [*by_name]))
                )
        cycle = _cycle(service, by_name)
        if cycle:
            mistakes.append(
                _mistake(service, "needs", f"needs itself: {' → '.join(cycle)}", "Take one of these needs out.")
            )
    for group, names in groups.items():
        for name in names:
            if name not in by_name and name not in absent:
                problem = f'group "{group}" has "{name}", which is no service'
                mistakes.append(Mistake("stores.toml", 0, "", problem, nearest(name, [*by_name])))
        if group in by_name:
            problem = f'"{group}" is both a group and a service'
            mistakes.append(Mistake("stores.toml", 0, "", problem, "Give the group another name."))
    return mistakes


def _shown(service: Service) -> str:
    return f"{service.file.parent.name}/{service.name}"


def _mistake(service: Service, key: str, problem: str, mend: str) -> Mistake:
    """At the line that sets `key`; a key that was left out has no place but the file."""
    pattern = re.compile(rf"#\s*{key}\s*=")
    try:
        lines = text_file.read(service.file).splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    number = next((number for number, line in enumerate(lines, 1) if pattern.match(line)), 0)
    return Mistake(_shown(service), number, lines[number - 1].strip() if number else "", problem, mend)


def _claimed_twice(
    services: Iterable[Service], key: str, claims: Callable[[Service], Iterable[object]]
) -> list[Mistake]:
    owners: dict[object, Service] = {}
    mistakes = []
    for service in services:
        for claim in claims(service):
            owner = owners.setdefault(claim, service)
            if owner is not service:
                one = key.removesuffix("s")
                problem = f'{one} "{claim}" is already claimed by {_shown(owner)}'
                mend = f"Take it out of one of the two files, or choose another {one}."
                mistakes.append(_mistake(service, key, problem, mend))
    return mistakes


def _cycle(service: Service, by_name: Mapping[str, Service]) -> list[str]:
    """The way from a service back to itself along `needs`; empty when there is none. Its first name reports it."""
    trail: list[str] = []
    seen: set[str] = set()  # what was walked once leads to the service, and is on the trail, or never does

    def leads_back(name: str) -> bool:
        if name in seen:
            return name == service.name
        seen.add(name)
        trail.append(name)
        if any(leads_back(need) for need in by_name[name].needs if need in by_name):
            return True
        trail.pop()
        return False

    return [*trail, service.name] if leads_back(service.name) and service.name == min(trail) else []
