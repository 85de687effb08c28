"""Verbs that change what runs."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Annotated, Any

from procman.cli import render
from procman.cli.arguments import Json, NoNeeds, Targets
from procman.cli.help import option
from procman.cli.place import Place, here
from procman.clients import supervisor
from procman.clients.supervisor import Call
from procman.errors import StoresError
from procman.workspace import load

#: How long a supervisor in the background may take to answer, in seconds.
_PATIENCE = 60.0

#: Bytes. A disk with less is full: the rest is in pieces, or kept for root.
_LEAST_ROOM = 64 * 1024


def run(targets: Targets = None) -> None:
    """Start services here, show their output until Ctrl-C.

    Where a supervisor runs already, this joins it: Ctrl-C then ends what this command started, and nothing else.

    For example:
      stores run netshop reserve
      stores run booking             a group of stores.toml
      stores run 'net*'
    """
    place = here()
    _check(place, targets or [])
    if supervisor.holder(place.paths) is not None:
        _join(place, targets or [])
        return
    arguments = ["--workspace", str(place.root), *(targets or [])]
    command = [sys.executable, "-P", "-m", "procman", *arguments]
    # becomes the supervisor: typer and the rest of this room leave the memory
    os.execve(sys.executable, command, dict(place.environ))  # noqa: S606 (no shell is wanted: this very interpreter)


def _check(place: Place, targets: Sequence[str]) -> None:
    """What is wrong with files or names is said here, before anything starts.

    A supervisor that runs says it itself: for it the last good state of each file stays in force.
    """
    if supervisor.holder(place.paths) is not None:
        return
    workspace = load(place.root, place.environ)
    workspace.select([target.partition(".")[0] for target in targets if target != "gateway"])


def _join(place: Place, targets: Sequence[str]) -> None:
    _wait_for_socket(place)
    with Call(place.paths, "run", targets=list(targets)) as call:
        lines = iter(call)
        while True:
            try:
                for told in lines:
                    render.told(told)
            except KeyboardInterrupt:
                call.leave()
                continue
            return


def up(
    targets: Targets = None,
    detach: Annotated[bool, option("--detach", "-d", help="In the background; returns once all is ready.")] = False,
    as_json: Json = False,
) -> None:
    """Start all services, or the named ones.

    For example:
      stores up -d                   all, in the background
      stores up -d booking
      stores up                      all, here, until Ctrl-C
    """
    place = here()
    _check(place, targets or [])
    if not detach:
        run(targets)
        return
    if supervisor.holder(place.paths) is None:
        start_supervisor(place)
    _wait_for_socket(place)
    _ask(place, "start", targets or [], as_json=as_json)


def start_supervisor(place: Place) -> None:
    """Starts one in the background, and returns when it answers. Raises `StoresError`."""
    place.paths.make()
    command = [sys.executable, "-P", "-m", "procman", "--workspace", str(place.root), "--background"]
    with place.paths.supervisor_log.open("ab") as log:
        began = log.tell()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=place.root
        )

    def alive() -> bool:  # of two that were started at once, one has the lock, and both commands talk to that one
        return process.poll() is None or supervisor.holder(place.paths) is not None

    if supervisor.wait_for_supervisor(place.paths, alive, _PATIENCE):
        return
    if process.poll() is not None:
        raise _why_it_ended(place, began)
    raise StoresError(f"The supervisor does not answer after {_PATIENCE:g} s", f"See {place.paths.supervisor_log}")


def _why_it_ended(place: Place, began: int) -> StoresError:
    """The error that it wrote as its last line, as if it had been raised here."""
    with place.paths.supervisor_log.open("rb") as log:
        log.seek(began)
        lines = log.read().splitlines()
    try:
        told = json.loads(lines[-1])
        return StoresError(told["message"], told["hint"], exit_code=told["exit"])
    except (IndexError, ValueError, TypeError, KeyError):
        if shutil.disk_usage(place.paths.state).free < _LEAST_ROOM:  # then it could not write down why
            room = f"Make room there: df {shlex.quote(str(place.paths.state))}"
            return StoresError(f"The supervisor ended at once: there is no room in {place.paths.state}", room)
        return StoresError("The supervisor ended at once", f"See {place.paths.supervisor_log}")


def _wait_for_socket(place: Place) -> None:
    """A supervisor that has just been started holds the lock for a moment before it listens."""
    supervisor.wait_for_supervisor(place.paths, lambda: supervisor.holder(place.paths) is not None, _PATIENCE)


def down() -> None:
    """Stop everything, the supervisor included.

    Returns when nothing is left of it.

    For example:
      stores down
    """
    place = here()
    pid = supervisor.holder(place.paths)
    try:
        with Call(place.paths, "down") as call:
            for told in call:
                render.told(told)
    except StoresError:
        if pid is None or supervisor.holder(place.paths) == pid:
            raise  # else it ended before it could answer, which is what was asked for
    deadline = time.monotonic() + _PATIENCE
    while supervisor.holder(place.paths) == pid and time.monotonic() < deadline:
        time.sleep(0.02)


def start(targets: Targets = None, no_deps: NoNeeds = False, as_json: Json = False) -> None:
    """Start services in the supervisor that runs.

    Returns when they are ready.

    For example:
      stores start account
      stores start netshop.worker
    """
    place = here()
    _check(place, targets or [])
    _ask(place, "start", targets or [], as_json=as_json, no_needs=no_deps)


def stop(targets: Targets = None, as_json: Json = False) -> None:
    """Stop services and all that they started.

    Returns when it is gone. The supervisor and the gateway stay: their hosts are answered by the remote.

    For example:
      stores stop netshop
      stores stop                    all services
    """
    _ask(here(), "stop", targets or [], as_json=as_json)


def restart(targets: Targets = None, as_json: Json = False) -> None:
    """Restart services, or single processes.

    No other one is touched. Returns when they are ready again.

    For example:
      stores restart netshop
      stores restart netshop.worker
      stores restart gateway
      stores restart                 all that runs
    """
    _ask(here(), "restart", targets or [], as_json=as_json)


def _ask(place: Place, verb: str, targets: Sequence[str], *, as_json: bool, **parameters: Any) -> None:
    silent = not as_json
    with Call(place.paths, verb, targets=list(targets), **parameters) as call:
        for told in call:
            if "ok" in told:
                render.result(told["ok"], as_json=as_json)
                for process in told["ok"] if silent else ():  # it was so already: whoever asked is told that
                    render.told({"state": {**process, "problem": ""}})
            elif "warning" in told:
                render.told(told)
            elif not as_json:
                render.told(told)
                silent = False
