"""The folder becomes a `Workspace`: its settings and its services, unique, in order, selectable by name or glob."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from procman import authorizer_settings, conflicts, procfile, settings, text_file
from procman.errors import StoresError
from procman.mistake import Mistake, MistakesError, nearest, refuse, unreadable
from procman.service import Process, Service
from procman.settings import Settings
from procman.table import Table

FOLDER = "Procfile.d"
_EDITORS_OWN = re.compile(r"\..*|.*~|#.*#|.*\.(?:swp|swx|tmp|orig|bak)|4913")


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder with ``Procfile.d/``: the last state of it that was right."""

    root: Path
    settings: Settings
    services: tuple[Service, ...]
    #: Of files that are wrong and never were right: whoever asks for such a service is told why there is none.
    unread: tuple[Mistake, ...] = ()

    def service(self, name: str) -> Service:
        """The service of that name. Raises `StoresError`: its file's mistakes, or (exit code 4) the nearest name."""
        for service in self.services:
            if service.name == name:
                return service
        if wrong := [mistake for mistake in self.unread if mistake.file == f"{FOLDER}/{name}"]:
            raise refuse(wrong)
        names = [service.name for service in self.services]
        raise StoresError(
            f'No service is called "{name}". {nearest(name, names)}',
            f"A new one is one file: stores add {name}",
            exit_code=4,
        )

    def select(self, patterns: Sequence[str]) -> tuple[Service, ...]:
        """The services that the patterns mean, in the order of the patterns: names, groups, globs. None given: all."""
        chosen: dict[str, Service] = {}
        for pattern in patterns or ["*"]:
            for service in self._expand(pattern):
                chosen[service.name] = service
        return tuple(chosen.values())

    def _expand(self, pattern: str) -> Iterable[Service]:
        if pattern in self.settings.groups:
            return [self.service(name) for name in self.settings.groups[pattern]]
        if any(character in pattern for character in "*?["):
            found = [service for service in self.services if fnmatchcase(service.name, pattern)]
            if not found and pattern != "*":
                names = ", ".join(service.name for service in self.services)
                raise StoresError(f'No service matches "{pattern}".', f"There is: {names}", exit_code=4)
            return found
        return [self.service(pattern)]

    def process(self, target: str) -> tuple[Service, Process]:
        """The one process that ``netshop`` (the one that requests go to) or ``netshop.worker`` means."""
        name, _, process = target.partition(".")
        service = self.service(name)
        return service, self._processes(service, process)[0] if process else service.primary

    def processes(self, targets: Sequence[str]) -> list[tuple[Service, Process]]:
        """The processes that targets mean: names, ``netshop.worker``, groups, globs. None given: all.

        ``*.worker`` means those that have one, and is an error where none has.
        """
        chosen: dict[tuple[str, str], tuple[Service, Process]] = {}
        for target in targets or ["*"]:
            pattern, _, process = target.partition(".")
            services = self.select([pattern])
            having = [service for service in services if _named(service, process or "*")]
            for service in having or services:
                for one in self._processes(service, process or "*"):
                    chosen[service.name, one.name] = (service, one)
        return list(chosen.values())

    def _processes(self, service: Service, pattern: str) -> list[Process]:
        found = _named(service, pattern)
        if not found:
            names = [one.name for one in service.processes]
            raise StoresError(
                f'{service.name} has no process "{pattern}". {nearest(pattern, names)}',
                f"See {FOLDER}/{service.name}",
                exit_code=4,
            )
        return found

    def with_needs(self, services: Iterable[Service]) -> tuple[Service, ...]:
        """The services and all that they need, each after what it needs."""
        ordered: dict[str, Service] = {}

        def visit(service: Service) -> None:
            if service.name not in ordered:
                for need in service.needs:
                    visit(self.service(need))
                ordered[service.name] = service

        for service in services:
            visit(service)
        return tuple(ordered.values())


def _named(service: Service, pattern: str) -> list[Process]:
    return [process for process in service.processes if fnmatchcase(process.name, pattern)]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a folder says now: `workspace` where it is usable, and every mistake in it.

    `settled`: the settings are what the files say, and no default or former state of them.
    """

    workspace: Workspace
    mistakes: tuple[Mistake, ...]
    settled: bool = True


def load(root: Path, environ: Mapping[str, str]) -> Workspace:
    """The workspace, or a `StoresError` (exit code 2) that shows every mistake with its place and its mend."""
    reading = read(root, environ)
    if reading.mistakes:
        raise refuse(reading.mistakes)
    return reading.workspace


def read(root: Path, environ: Mapping[str, str], previous: Workspace | None = None) -> Reading:
    """Reads the folder. Where a file is wrong, what `previous` had from it stays in force."""
    mistakes: list[Mistake] = []
    chosen = _settings(root, environ, previous, mistakes)
    settled = not mistakes
    services = _services(root, chosen, previous, mistakes)
    found = {f"{FOLDER}/{service.name}" for service in services}
    unread = tuple(
        mistake for mistake in mistakes if mistake.file.startswith(f"{FOLDER}/") and mistake.file not in found
    )
    # what runs must not come to need a service of which nothing is known; whoever only reads is told of its file alone
    absent = set() if previous else {Path(mistake.file).name for mistake in unread}
    unclear = conflicts.between(services, chosen.groups, absent)
    if unclear and previous is not None:
        return Reading(dataclasses.replace(previous, unread=unread), (*mistakes, *unclear), settled)
    return Reading(Workspace(root, chosen, services, unread), (*mistakes, *unclear), settled)


def _settings(root: Path, environ: Mapping[str, str], previous: Workspace | None, mistakes: list[Mistake]) -> Settings:
    merged: dict[str, Any] = {}
    tables: list[Table] = []
    found = len(mistakes)
    for name in settings.FILES:
        try:
            table = Table.parse(text_file.read(root / name), name)
            settings.read(table, root)
            mistakes += table.mistakes
            merged = settings.merge(merged, table.values)
            tables.insert(0, table)
        except FileNotFoundError:
            mistakes += _nowhere(root / name, name)
        except MistakesError as error:
            mistakes += error.mistakes
        except (OSError, UnicodeDecodeError) as error:
            mistakes.append(unreadable(name, error))
    if len(mistakes) > found:
        return previous.settings if previous else Settings(repos=root.parent)
    table = Table(settings.merge(merged, settings.overrides(environ)), "the environment (STORES_…)", [])
    chosen = settings.read(table, root)
    unclear = _between_files(chosen, tables)
    mistakes += [*table.mistakes, *unclear]
    return previous.settings if unclear and previous else chosen


def _between_files(chosen: Settings, tables: Sequence[Table]) -> list[Mistake]:
    """What no settings file can know alone, at the place where the key is set; the strongest file comes first."""
    found = []
    for key, problem, mend in authorizer_settings.unclear(chosen.authorizer, chosen.identities, chosen.remote.domain):
        setting = next((table for table in tables if key in table.values.get("authorizer", {})), None)
        if setting is None:
            found.append(Mistake(settings.FILES[0], 0, "", problem, mend))
        else:
            setting.table("authorizer").wrong(key, problem, mend)
            found.append(setting.mistakes[-1])
    return found


def _services(root: Path, chosen: Settings, previous: Workspace | None, mistakes: list[Mistake]) -> tuple[Service, ...]:
    before = {service.name: service for service in previous.services} if previous else {}
    services = []
    try:
        files = sorted((root / FOLDER).iterdir())
    except OSError as error:
        mistakes.append(unreadable(FOLDER, error))
        return previous.services if previous else ()
    for file in files:
        if _EDITORS_OWN.fullmatch(file.name):
            continue
        try:
            text = text_file.read(file)
            services.append(
                procfile.parse(text, file, root=root, repos=chosen.repos, remote_domain=chosen.remote.domain)
            )
        except IsADirectoryError:
            continue
        except FileNotFoundError:  # gone since the folder was listed: an editor's temporary file
            mistakes += _nowhere(file, f"{FOLDER}/{file.name}")
            services += [before[file.name]] if file.is_symlink() and file.name in before else []
        except MistakesError as error:
            mistakes += error.mistakes
            services += [before[file.name]] if file.name in before else []
        except (OSError, UnicodeDecodeError) as error:
            mistakes.append(unreadable(f"{FOLDER}/{file.name}", error))
            services += [before[file.name]] if file.name in before else []
    return tuple(services)


def _nowhere(path: Path, shown: str) -> list[Mistake]:
    """A link to what is not there; a file that is not there is no mistake."""
    if not path.is_symlink():
        return []
    return [
        Mistake(shown, 0, "", f"leads to {path.readlink()}, and there is nothing", "Lead it to a file, or remove it.")
    ]
