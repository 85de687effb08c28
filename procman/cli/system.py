"""Verbs about the machine: what it is to know of the workspace, shown first, done once, undone."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from certs.folder import CaFolder
from procman.cli import system_show as show
from procman.cli.help import option
from procman.cli.place import Place, here
from procman.clients import supervisor
from procman.errors import StoresError
from procman.paths import Paths
from procman.system import autostart
from procman.system.invoker import Invoker

if TYPE_CHECKING:
    from certs.trust import Entry, UserTrust
    from certs.trust_store import Root
    from procman.system.change import Part

DryRun = Annotated[bool, option("--dry-run", help="Only say what would be done.")]
Yes = Annotated[bool, option("--yes", "-y", help="Do not ask.")]


def trust(
    undo: Annotated[bool, option("--undo", help="Take out what was put in, and nothing else.")] = False,
    dry_run: DryRun = False,
    no_sudo: Annotated[bool, option("--no-sudo", help="Only browsers and Java, which need no sudo.")] = False,
) -> None:
    """Make browsers and programs trust the certificates.

    The local CA goes into the system's store (with sudo), the databases of Firefox and Chromium, and Java's key stores.
    It can vouch for the workspace's domain and localhost only. Say it again after you have installed a browser.

    For example:
      stores trust --dry-run
      stores trust
      stores trust --undo
    """
    from procman.system import needs  # noqa: PLC0415 (loads what only these verbs need)

    with ExitStack() as stack:
        invoker = stack.enter_context(_invoker())
        place = here()
        workspace = place.workspace()
        domain = workspace.settings.domain
        own = _user_trust(place.paths)
        if undo:
            names = [] if no_sudo else [name for name in _own(invoker) if name.split(" ")[:2] in _trusting(domain)]
            _undo(invoker, names, own, [one for one in own.entries() if one.domain == domain], dry_run=dry_run)
            return
        root = stack.enter_context(_root(place, domain, dry_run=dry_run))
        plan = needs.plan(needs.target(workspace, root), place.environ, () if no_sudo else (needs.TRUST,))
        show.authority(root)
        told = show.outcomes(own.add(root, dry_run=dry_run))
        show.plan(plan, invoker)
        if dry_run:
            return
        failed = [outcome.place for outcome in told if outcome.problem] + [one.name for one in plan.impossible]
        failed += _apply(invoker, plan.wanted)
        if failed:
            raise StoresError(
                f"Not trusted everywhere: {', '.join(failed)}",
                f"The lines above say why. A single program takes it by name, as: curl --cacert {root.file}",
            )


def setup_system(*, dry_run: bool, yes: bool) -> None:
    """What ``stores setup --system`` does: the one privileged step, planned, shown, asked for once, done."""
    from procman.system import needs  # noqa: PLC0415 (loads what only these verbs need)

    with ExitStack() as stack:
        invoker = stack.enter_context(_invoker())
        place = here()
        workspace = place.workspace()
        root = stack.enter_context(_root(place, workspace.settings.domain, dry_run=dry_run))
        wanted = needs.target(workspace, root)
        plan = needs.plan(wanted, place.environ)
        own = _user_trust(place.paths)
        show.authority(root)
        pending = [one for one in show.outcomes(own.add(root, dry_run=True)) if one.said != "already there"]
        show.plan(plan, invoker)
        if dry_run:
            return
        if (plan.wanted or pending) and not show.agreed("Do this?", yes=yes):
            show.meanwhile(plan.wanted, plan.impossible)
            raise StoresError("Nothing was changed, as you said", "Later: stores setup --system")
        failed = [one.place for one in show.outcomes(own.add(root) if pending else ()) if one.problem]
        failed += _apply(invoker, plan.wanted)
        if failed or plan.impossible:
            show.meanwhile([part for part in plan.wanted if part.name in failed], plan.impossible)
            names = ", ".join([*failed, *(one.name for one in plan.impossible)])
            raise StoresError(
                f"Not everything is done: {names}", "Mend what is said above, then: stores setup --system"
            )
        show.ready(wanted, restart=bool(plan.wanted) and supervisor.holder(place.paths) is not None)


def clean(
    dry_run: DryRun = False,
    yes: Yes = False,
    state: Annotated[
        bool, option("--state", help="Also what stores itself keeps: the CA, logs, assigned ports.")
    ] = False,
) -> None:
    """Undo all that was changed in the system.

    Ports, names, trust in every store, start at login. Each change was written down, and those alone are taken back.

    For example:
      stores clean --dry-run
      stores clean
      stores clean --state           as if stores had never run here
    """
    with _invoker() as invoker:
        paths = Paths.of(Path.cwd(), os.environ)
        own, names = _user_trust(paths), _own(invoker)
        entries = own.entries()
        folders = _state_folders(paths) if state else []
        jobs = autostart.every(os.environ)
        if not (names or entries or folders or jobs):
            typer.echo("There is nothing to undo.")
            return
        show.removal(names, entries, [*jobs, *folders], invoker)
        if dry_run:
            return
        if not show.agreed("Undo all of it?", yes=yes):
            raise StoresError("Nothing was undone, as you said", "Later: stores clean")
        for job in jobs:
            autostart.off(job)
            typer.echo(f"  removed {job}")
        _undo(invoker, names, own, entries)
        for folder in folders:
            shutil.rmtree(folder)
            typer.echo(f"  removed {folder}")
            _remove_empty(folder.parent, Path(os.environ.get("HOME") or Path.home()))


@contextmanager
def _invoker() -> Iterator[Invoker]:
    """Whose command it is; root waits no longer than this command lasts."""
    invoker = Invoker.take_over(os.environ)
    try:
        yield invoker
    finally:
        invoker.refuse()


@contextmanager
def _root(place: Place, domain: str, *, dry_run: bool) -> Iterator[Root]:
    """The CA's certificate. A dry run makes no CA: where there is none, one that lasts for this look stands for it."""
    from procman.system import needs  # noqa: PLC0415 (loads what only these verbs need)

    folder = place.paths.ca(domain)
    if not dry_run or CaFolder(folder).exists:
        yield needs.ensure_ca(folder, domain, place.environ)
        return
    with tempfile.TemporaryDirectory(prefix="stores-") as passing:
        typer.echo("There is no local CA yet: it would be made first, and the one below stands for it.")
        yield needs.ensure_ca(Path(passing), domain, place.environ)


def _user_trust(paths: Paths) -> UserTrust:
    from certs.trust import UserTrust  # noqa: PLC0415 (loads what only these verbs need)

    return UserTrust.of(paths.state.parent.parent / "trust.json", os.environ)


def _trusting(domain: str) -> list[list[str]]:
    """How the names of the parts begin that trust a domain's CA."""
    return [["trust", domain], ["java", domain]]


def _own(invoker: Invoker) -> list[str]:
    """The parts that were done for this user; root may undo all, for it may do so anyway."""
    from procman.system import needs  # noqa: PLC0415 (loads what only these verbs need)

    return [name for name, one in needs.record().items() if invoker.user in {one.user, "root"}]


def _apply(invoker: Invoker, parts: Sequence[Part]) -> list[str]:
    """Has root do it. Returns the names of the parts that failed."""
    return show.results(invoker.request(parts, ask=show.interactive()), [part.name for part in parts]) if parts else []


def _undo(
    invoker: Invoker, names: Sequence[str], own: UserTrust, entries: Sequence[Entry], *, dry_run: bool = False
) -> None:
    failed = [one.place for one in show.outcomes(own.remove(entries, dry_run=dry_run)) if one.problem]
    if dry_run:
        show.removal(names, (), (), invoker)
    elif names:
        failed += show.results(invoker.request(names, ask=show.interactive()), names)
    if failed:
        raise StoresError(
            f"Not everything could be undone: {', '.join(failed)}", "Mend what is said above, say it again"
        )


def _state_folders(paths: Paths) -> list[Path]:
    """All that stores keeps for this user. Raises `StoresError` while a supervisor runs that uses it."""
    state = paths.state.parent.parent
    for lock in state.glob("workspaces/*/supervisor.lock"):
        if (pid := supervisor.holder(dataclasses.replace(paths, state=lock.parent))) is not None:
            raise StoresError(
                f"A supervisor runs with this state: PID {pid} ({lock.parent.name})", "First: stores down"
            )
    return [folder for folder in (state,) if folder.is_dir()]


def _remove_empty(folder: Path, home: Path) -> None:
    """``~/.local/state`` and ``~/.local``, where nobody else has put anything there."""
    while home in folder.parents:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
