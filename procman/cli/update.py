"""The verb that brings the tool itself up to date, under what runs."""

from __future__ import annotations

import json
import os
import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from procman.cli.arguments import Json
from procman.cli.help import option
from procman.cli.place import Place
from procman.errors import StoresError
from procman.paths import Paths
from procman.update import build

if TYPE_CHECKING:
    from procman.update.checkout import Candidate
    from procman.update.package import Package
    from procman.update.running import Running


def update(
    dry_run: Annotated[bool, option("--dry-run", help="Only say what would be done.")] = False,
    as_json: Json = False,
) -> None:
    """Bring stores itself up to date; what runs goes on.

    A checkout is fetched and goes forward, its libraries with it; an installed package is upgraded by what installed
    it (uv, pipx, pip). The new version checks itself first. Then every supervisor that runs hands over to it, with
    its services' processes as they are. Where that fails, the old version is put back.

    For example:
      stores update --dry-run
      stores update
    """
    from procman.update import checkout as update_checkout  # noqa: PLC0415 (loads what only this verb needs)
    from procman.update import package as update_package  # noqa: PLC0415 (loads what only this verb needs)

    report = _Report(as_json=as_json)
    checkout = update_checkout.Checkout.at(build.FOLDER)
    if checkout is None:
        _package(update_package.Package.here(), report, dry_run=dry_run)
        return
    step = checkout.plan()
    runs, silent = _running(report)
    if step is None:
        commit = build.commit_of(build.FOLDER)
        old = [one for one in runs if one.commit != commit]
        report.say(f"{checkout.folder} is up to date.")
        if not dry_run:
            _hand_over(old, report)
        elif old:
            report.say(f"Would hand over: {', '.join(one.root for one in old)}")
        report.end(updated=False, handed_over=[] if dry_run else None)
        return
    report.about(step.old, step.new, step.subjects)
    if dry_run:
        report.would(step.libraries, [one.root for one in runs], silent)
        return
    with checkout.candidate(step, report.say) as candidate:
        candidate.install()
        try:
            _hand_over(runs, report)
        except StoresError as error:
            _roll_back(candidate, runs, report)
            raise StoresError(f"{error.message}. The old version is back in place.", error.hint) from error
    report.end(updated=True)


def _package(package: Package, report: _Report, *, dry_run: bool) -> None:
    from procman.update import package as update_package  # noqa: PLC0415 (loads what only this verb needs)

    command = package.upgrade()
    runs, silent = _running(report)
    report.told |= {"from": package.version, "command": command}
    if dry_run:
        report.say(f"Would run: {shlex.join(command)}")
        report.would(False, [one.root for one in runs], silent)
        return
    report.say(f"{shlex.join(command)} …")
    update_package.run(command)
    try:
        report.say("The new version checks itself …")
        update_package.check(build.FOLDER)
        _hand_over(runs, report)
    except StoresError as error:
        report.say(f"That went wrong: {package.present} is put back.")
        update_package.run(package.restore())
        _bring_back(runs)
        raise StoresError(f"{error.message}. The old version is back in place.", error.hint) from error
    report.told["to"] = update_package.version()
    report.say(f"From {package.version} to {report.told['to']}")
    report.end(updated=True)


class _Report:
    """What is told: lines for people as they come, or one document at the end."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self.told: dict[str, Any] = {"from": "", "to": "", "changes": [], "handed_over": [], "silent": []}

    def say(self, line: str) -> None:
        if not self._as_json:
            typer.echo(line)

    def about(self, old: str, new: str, subjects: tuple[str, ...]) -> None:
        from procman.update.checkout import describe  # noqa: PLC0415 (loads what only this verb needs)

        self.told |= {"from": old, "to": new, "changes": list(subjects)}
        self.say(f"From {old[:12]} to {new[:12]}:")
        for line in describe(subjects):
            self.say(f"  {line}")

    def would(self, libraries: bool, roots: list[str], silent: list[str]) -> None:
        self.say(f"Would {'install its libraries, ' if libraries else ''}check the new version, and put it in place.")
        if roots:
            self.say(f"Would hand over, with all that they run: {', '.join(roots)}")
        self.told |= {"libraries": libraries, "running": roots, "silent": silent}
        self.end(updated=False)

    def end(self, *, updated: bool, **more: Any) -> None:
        if self._as_json:
            told = {**self.told, "updated": updated} | {key: value for key, value in more.items() if value is not None}
            typer.echo(json.dumps(told, indent=2))


def _running(report: _Report) -> tuple[list[Running], list[str]]:
    """Those that run this code, and those that nobody can hand over."""
    from procman.update import running  # noqa: PLC0415 (loads what only this verb needs)

    found, silent = running.every(Paths.of(Path.cwd(), os.environ))
    ours = [one for one in found if one.folder == str(build.FOLDER)]
    silent += [f"{one.root}: runs from {one.folder}" for one in found if one not in ours]
    for line in silent:
        report.say(f"Stays as it is: {line}")
    report.told["silent"] = silent
    return ours, silent


def _hand_over(runs: list[Running], report: _Report) -> None:
    from procman.update import running  # noqa: PLC0415 (loads what only this verb needs)

    for one in runs:
        before = one.processes()
        one.hand_over()
        told = running.as_json(one, before)
        report.told["handed_over"].append(told)
        kept = len(before) - len(told["anew"])
        report.say(f"{one.root}: handed over, {kept} process{'' if kept == 1 else 'es'} went on")
        for name in told["anew"]:
            report.say(f"  {name} is started anew: the new version starts it in another way")


def _roll_back(candidate: Candidate, runs: list[Running], report: _Report) -> None:
    """The old files first, then whoever is not back as one of them."""
    report.say("That went wrong: the old version is put back.")
    candidate.take_back()
    _bring_back(runs)


def _bring_back(runs: list[Running]) -> None:
    from procman.cli.lifecycle import start_supervisor  # noqa: PLC0415 (as above)
    from procman.clients import supervisor  # noqa: PLC0415 (loads what only this verb needs)
    from procman.update import running  # noqa: PLC0415 (loads what only this verb needs)

    for one in runs:
        try:
            now = running.Running.of(one.paths)
        except (StoresError, OSError):
            pid = supervisor.holder(one.paths)
            if pid:  # it is there and answers nobody; what it supervises outlives it
                os.kill(pid, signal.SIGKILL)
            root = Path(one.root)
            start_supervisor(Place(root, Paths.of(root, os.environ), dict(os.environ)))
        else:
            if now.life != one.life:
                now.hand_over()
