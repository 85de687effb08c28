"""Getting a service's repository: where it belongs, and a clone that is there whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from procman.errors import StoresError
from procman.machine import proc
from procman.service import Service

_SCP_LIKE = re.compile(r"(?:[^@/]+@)?(?P<host>[^:/]+):(?P<path>(?!/).+)")
_PROGRESS = re.compile(rb"[\r\n]")


@dataclass(frozen=True, slots=True)
class Checkout:
    """Where a clone goes: `path`, and a `link` to it where the workspace looks for it in another place."""

    service: Service
    path: Path
    link: Path | None = None


def plan(service: Service, environ: Mapping[str, str]) -> Checkout:
    """Where the service's repository belongs. Raises `StoresError` where it is there already, or has no address.

    With ghq on PATH, and no `dir` in the service's file: below ghq's root, as ghq has it (``github.com/owner/name``),
    with a symbolic link where the workspace looks. So one clone serves ghq, editors that know its layout, and this.
    """
    if not service.repo:
        raise StoresError(
            f"Nobody knows where {service.name} is cloned from", f'Write it into {service.file}: # repo = "https://…"'
        )
    if os.path.lexists(service.dir):
        raise StoresError(f"{service.name} is there already: {service.dir}", f"Update it: git -C {service.dir} pull")
    place = None if service.dir_set else _ghq_place(service.repo, environ)
    return Checkout(service, place, service.dir) if place else Checkout(service, service.dir)


def _ghq_place(repo: str, environ: Mapping[str, str]) -> Path | None:
    if not shutil.which("ghq", path=environ.get("PATH", os.defpath)):
        return None
    asked = subprocess.run(["ghq", "root"], env=dict(environ), capture_output=True, text=True, check=False)
    root = asked.stdout.strip()
    layout = _layout(repo)
    return Path(root) / layout if asked.returncode == 0 and root and layout else None


def _layout(repo: str) -> str:
    """``host/path`` of a clone URL, as ghq lays it out; empty for what has no host (``file://``)."""
    parts = urlsplit(repo)
    host, path = parts.hostname or "", parts.path
    if not parts.scheme and (match := _SCP_LIKE.fullmatch(repo)):
        host, path = match["host"], match["path"]
    path = path.strip("/").removesuffix(".git")
    return f"{host}/{path}" if host and path and ".." not in path.split("/") else ""


def clone(checkout: Checkout, environ: Mapping[str, str], progress: Callable[[str], None], *, may_ask: bool) -> None:
    """Clones into a folder beside the place, and renames it there: no half of a clone is ever seen.

    `progress` is told what git says (``Receiving objects:  45%``). `may_ask`: git and ssh may ask at the terminal.
    Raises `StoresError` with git's own last words.
    """
    if checkout.path.is_dir() and checkout.link:
        progress("is in ghq's root already")
    else:
        _clone(checkout, environ, progress, may_ask=may_ask)
    if checkout.link:
        checkout.link.parent.mkdir(parents=True, exist_ok=True)
        checkout.link.symlink_to(checkout.path, target_is_directory=True)


def _clone(checkout: Checkout, environ: Mapping[str, str], progress: Callable[[str], None], *, may_ask: bool) -> None:
    name = checkout.service.name
    try:
        checkout.path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(checkout.path.parent, name)
        prefix = f".{name}.{os.getpid()}."
        draft = Path(tempfile.mkdtemp(prefix=prefix, suffix=".cloning", dir=checkout.path.parent))
    except OSError as error:
        raise StoresError(
            f"Cannot clone {name} into {checkout.path.parent}: {error.strerror}", "Make it yours."
        ) from error
    try:
        said = _git(checkout.service.repo, draft / "clone", environ, progress, may_ask=may_ask)
        if said is not None:
            raise StoresError(
                f"git could not clone {checkout.service.repo}: {said}",
                f"Try it: git clone {checkout.service.repo} {checkout.path}",
            )
        if os.path.lexists(checkout.path):  # somebody was faster: theirs stays
            raise StoresError(f"{checkout.path} appeared meanwhile; it is left as it is", "Look: stores status")
        (draft / "clone").rename(checkout.path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _sweep(folder: Path, name: str) -> None:
    """Removes what a clone left that was killed: its PID, in the name, lives no more."""
    for draft in folder.glob(f".{name}.*.cloning"):
        pid = draft.name.removeprefix(f".{name}.").partition(".")[0]
        if pid.isdigit() and proc.look(int(pid)) is None:
            shutil.rmtree(draft, ignore_errors=True)


def _git(
    repo: str, target: Path, environ: Mapping[str, str], progress: Callable[[str], None], *, may_ask: bool
) -> str | None:
    """None where it worked, else what git said last."""
    env = dict(environ)
    if not may_ask:
        env |= {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": env.get("GIT_SSH_COMMAND", "ssh") + " -oBatchMode=yes"}
    command = ["git", "clone", "--progress", "--", repo, str(target)]
    with subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as git:
        try:
            said: list[str] = []
            rest = b""
            while git.stderr and (data := os.read(git.stderr.fileno(), 4096)):
                *lines, rest = _PROGRESS.split(rest + data)
                for line in (text.decode("utf-8", "replace").strip() for text in lines):
                    if line:
                        progress(line)
                        said.append(line)
            said += [rest.decode("utf-8", "replace").strip()] if rest.strip() else []
        except BaseException:
            git.kill()
            raise
    wrong = [line for line in said if line.startswith(("fatal:", "error:", "ERROR:"))]
    return " ".join(wrong or said[-3:]) or f"exit code {git.returncode}" if git.returncode else None
