"""Verbs that get a service ready to run: clone, setup."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import typer

from procman.cli.arguments import Json, Targets
from procman.cli.help import option
from procman.cli.inside import inside
from procman.cli.place import Place, here
from procman.cli.progress import Progress
from procman.cli.system import setup_system
from procman.errors import StoresError
from procman.preparation import checkout, setup_run
from procman.preparation.checkout import Checkout
from procman.preparation.setup_record import Setup, SetupRecords
from procman.service import Service


def setup(
    targets: Targets = None,
    stale: Annotated[bool, option("--stale", help="Only what was never set up, or has changed since.")] = False,
    no_deps: Annotated[bool, option("--no-deps", help="Not what the services need.")] = False,
    verbose: Annotated[bool, option("--verbose", "-v", help="Show all output, not only the last line.")] = False,
    as_json: Json = False,
    system: Annotated[
        bool, option("--system", help="Not services: ports 80/443, DNS and trust on this machine, with sudo, once.")
    ] = False,
    dry_run: Annotated[bool, option("--dry-run", help="With --system: only show the plan.")] = False,
    yes: Annotated[bool, option("--yes", "-y", help="With --system: do not ask.")] = False,
) -> None:
    """Set services up: `make setup` in each.

    Or what their files say under `setup`. In the order of `needs`; what is needed and set up already is left alone.
    Stops at the first failure. Afterwards `stores status` tells when a lock file or manifest has changed since.

    For example:
      stores setup                   all that is cloned
      stores setup netshop
      stores setup --stale
      stores setup --system          https://NAME.DOMAIN/ in every program (undo: stores clean)
    """
    if system:
        setup_system(dry_run=dry_run, yes=yes)
        return
    if dry_run or yes:
        raise StoresError("--dry-run and --yes belong to --system", "See: stores setup --help", exit_code=2)
    place = here()
    workspace = place.workspace()
    named = workspace.select(targets or [])
    records = SetupRecords(place.paths.state / "setup.json")
    place.paths.make()
    chosen: list[Service] = []
    with Progress() as progress:
        for service in workspace.with_needs(named):
            asked = service in named
            if asked or not no_deps:
                state = records.of(service)
                _choose(service, state, progress, chosen, asked=asked and bool(targets), stale=stale or not asked)
        done = [_set_up(place, service, records, progress, verbose=verbose) for service in chosen]
    if as_json:
        typer.echo(json.dumps(done, indent=2))


def _choose(
    service: Service, state: Setup, progress: Progress, chosen: list[Service], *, asked: bool, stale: bool
) -> None:
    """Whether a service is to be set up; what is left out says why."""
    if state is Setup.ABSENT:
        hint = f"stores clone {service.name}"
        if asked:
            raise StoresError(f"{service.name} is not here: there is no folder {service.dir}", f"Get it: {hint}")
        progress.say(service.name, f"not cloned ({hint})")
    elif state is Setup.NONE:
        progress.say(service.name, "nothing to set up")
    elif not stale or state in {Setup.STALE, Setup.NEVER}:
        chosen.append(service)
    else:
        progress.say(service.name, "set up already")


def _set_up(
    place: Place, service: Service, records: SetupRecords, progress: Progress, *, verbose: bool
) -> dict[str, object]:
    log = setup_run.log_of(place.paths.state, service)
    progress.say(service.name, f"{service.setup} …")
    began = time.monotonic()
    result = setup_run.run(
        service,
        inside(place, service.name).environ,
        log,
        lambda line: progress.say(service.name, line) if verbose else progress.show(service.name, line),
    )
    took = time.monotonic() - began
    if result.code:
        progress.clear()
        lines = "" if verbose else "".join(f"\n    {line}" for line in result.last)
        how = f"exit code {result.code}" if result.code > 0 else f"signal {-result.code}"
        raise StoresError(
            f"{service.name}: {service.setup} failed, {how}{lines}",
            f"All of its output: {log}   Again: stores setup {service.name}",
        )
    records.remember(service)
    progress.say(service.name, f"set up in {took:.1f} s")
    return {"name": service.name, "seconds": round(took, 2), "log": str(log)}


def clone(targets: Targets = None, as_json: Json = False) -> None:
    """Clone services' repositories, several at once.

    Each into the folder where the workspace looks for it, never over one that is there. Where ghq is installed, and the
    service's file names no `dir`, below ghq's root, with a symbolic link. Without names: all that are not here yet.

    For example:
      stores clone netshop reserve
      stores clone
    """
    place = here()
    services = place.workspace().select(targets or [])
    if not targets:
        services = tuple(service for service in services if service.repo and not service.dir.exists())
        if not services and not as_json:
            typer.echo("Nothing to clone: every service that names a repo is here.", err=True)
    plans = [checkout.plan(service, place.environ) for service in services]
    with Progress() as progress:
        problems = _clone_all(place, plans, progress)
    if as_json:
        typer.echo(json.dumps([{"name": plan.service.name, "dir": str(plan.path)} for plan in plans], indent=2))
    if problems:
        raise StoresError("\n".join(f"{error.message}\n  {error.hint}" for error in problems))


def _clone_all(place: Place, plans: Sequence[Checkout], progress: Progress) -> list[StoresError]:
    problems: list[StoresError] = []
    lock = threading.Lock()

    def one(plan: Checkout) -> None:
        name = plan.service.name
        progress.say(name, f"cloning {plan.service.repo}")
        try:
            checkout.clone(
                plan,
                place.environ,
                lambda text: progress.show(name, text),
                may_ask=len(plans) == 1 and sys.stdin.isatty(),
            )
            progress.say(name, f"is in {plan.path}" + (f", linked from {plan.link}" if plan.link else ""))
        except StoresError as error:
            with lock:
                problems.append(error)

    with ThreadPoolExecutor(setup_run.jobs()) as pool:
        list(pool.map(one, plans))
    return problems
