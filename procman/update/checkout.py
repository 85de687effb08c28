"""An update of the checkout that this program is run from: fetched, checked beside the old one, then put in place.

The new version is made ready in a worktree of its own, with an environment of its own where it wants other libraries.
What runs goes on with the old files meanwhile, and nothing has to be taken back where the new version is no good.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from procman.errors import StoresError

#: Seconds for git's fetch, for building an environment (downloads included), and for the self-check.
_FETCH, _BUILD, _CHECK = 120.0, 1800.0, 300.0
#: Where they differ, the new version may want other libraries.
_LIBRARIES = ("requirements.lock", "pyproject.toml")
_VENV = ".venv"
#: What `make setup` looks at to see whether the environment is as new as the lock.
_STAMP = ".installed"
_LAST_LINES = 15


@dataclass(frozen=True, slots=True)
class Step:
    """From one commit to another. `subjects`: what is new, the newest first; `libraries`: whether those change."""

    old: str
    new: str
    branch: str
    subjects: tuple[str, ...]
    libraries: bool


class Checkout:
    """A git checkout of this program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def at(cls, folder: Path) -> Checkout | None:
        """The checkout that has its top at `folder`; None where that is none."""
        return cls(folder) if (folder / ".git").exists() and (folder / "pyproject.toml").is_file() else None

    def plan(self) -> Step | None:
        """Fetches, and says what would change; None where nothing would. Raises `StoresError`."""
        branch = self._branch()
        changed = self._git("status", "--porcelain", "--untracked-files=no")
        if changed:
            names = ", ".join(line.split(maxsplit=1)[-1] for line in changed.splitlines()[:3])
            raise StoresError(
                f"{self.folder} has changes of your own: {names}",
                f"Keep them in a commit or put them aside: git -C {self.folder} stash",
            )
        try:
            self._git("fetch", "--quiet", timeout=_FETCH)
        except StoresError as error:
            raise StoresError(
                f"The new version cannot be fetched: {error.message}", _network_hint(self.folder)
            ) from error
        old, new = self._git("rev-parse", "HEAD"), self._git("rev-parse", "@{upstream}")
        ahead = self._git("rev-list", "--count", "@{upstream}..HEAD")
        if self._git("rev-list", "--count", "HEAD..@{upstream}") == "0":
            return None
        if ahead != "0":
            upstream = self._git("rev-parse", "--abbrev-ref", "@{upstream}")
            raise StoresError(
                f"{self.folder} has {ahead} commits that {upstream} has not",
                f"Bring them together yourself: git -C {self.folder} pull --rebase && make -C {self.folder} setup",
            )
        subjects = tuple(self._git("log", "--format=%s", "--no-merges", f"{old}..{new}").splitlines())
        differing = self._git("diff", "--name-only", old, new, "--", *_LIBRARIES)
        return Step(old, new, branch, subjects, bool(differing))

    def _branch(self) -> str:
        try:
            branch = self._git("symbolic-ref", "--short", "HEAD")
        except StoresError as error:
            hint = f"Go to a branch: git -C {self.folder} switch main"
            raise StoresError(f"{self.folder} stands on a commit, and on no branch", hint) from error
        try:
            self._git("rev-parse", "@{upstream}")
        except StoresError as error:
            hint = f"Say where it comes from: git -C {self.folder} branch --set-upstream-to=origin/{branch}"
            raise StoresError(f"The branch {branch} of {self.folder} follows no other one", hint) from error
        return branch

    @contextmanager
    def candidate(self, step: Step, say: Callable[[str], None]) -> Iterator[Candidate]:
        """The new version, checked, beside the old one; gone afterwards. Raises `StoresError` where it is no good."""
        with tempfile.TemporaryDirectory(prefix="stores-") as passing:
            tree = Path(passing) / "new"
            self._git("worktree", "add", "--quiet", "--detach", str(tree), step.new)
            made = Candidate(self, step, tree, self._environment(step, tree, say))
            try:
                say("The new version checks itself …")
                made.check()
                yield made
            finally:
                made.discard()
                self._git("worktree", "remove", "--force", str(tree))

    def _environment(self, step: Step, tree: Path, say: Callable[[str], None]) -> Path | None:
        """An environment with the new version's libraries; None where the present one does."""
        if not step.libraries:
            return None
        own = self.folder / _VENV
        if Path(sys.prefix).resolve() != own.resolve():
            raise StoresError(
                f"The new version wants other libraries, and {sys.prefix} is not the checkout's own environment",
                f"Do it by hand: git -C {self.folder} pull --ff-only, then install its requirements.lock",
            )
        say("Its libraries are installed …")
        new = own.with_name(f"{_VENV}.new")
        python = os.path.realpath(sys.executable)
        command = [str(tree / ".ci" / "venv"), python, str(new)]
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=_BUILD, check=False)
        if done.returncode:
            shutil.rmtree(new, ignore_errors=True)
            raise StoresError(f"Its libraries cannot be installed:\n{_tail(done.stderr)}", _network_hint(self.folder))
        return new

    def git_reset(self, commit: str) -> None:
        """Goes to a commit, whatever stands there; only where `plan` found no changes."""
        self._git("reset", "--quiet", "--hard", commit)

    def merge(self, commit: str) -> None:
        """Goes forward to a commit."""
        self._git("merge", "--quiet", "--ff-only", commit)

    def _git(self, *arguments: str, timeout: float = 60.0) -> str:
        environ = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_SSH_COMMAND": _ssh()}
        try:
            done = subprocess.run(
                ["git", "-C", str(self.folder), *arguments],
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except FileNotFoundError as error:
            raise StoresError("There is no git on this machine", "Install it, and say this again") from error
        except subprocess.TimeoutExpired as error:
            raise StoresError(f"git {arguments[0]} takes longer than {timeout:g} s") from error
        if done.returncode:
            raise StoresError(done.stderr.strip() or f"git {arguments[0]} failed")
        return done.stdout.strip()


class Candidate:
    """A new version that lies ready."""

    def __init__(self, checkout: Checkout, step: Step, tree: Path, environment: Path | None) -> None:
        self._checkout = checkout
        self._step = step
        self._tree = tree
        self._new = environment
        self._own = checkout.folder / _VENV
        self._old = self._own.with_name(f"{_VENV}.old")

    def check(self) -> None:
        """Raises `StoresError` with what the new version says of itself."""
        python = self._new / "bin" / "python" if self._new else sys.executable
        command = [str(python), "-P", "-m", "procman.update.self_check", str(self._tree)]
        environ = {**os.environ, "PYTHONPATH": str(self._tree), "PYTHONDONTWRITEBYTECODE": "1"}
        environ.pop("VIRTUAL_ENV", None)
        try:
            done = subprocess.run(
                command, env=environ, capture_output=True, text=True, timeout=_CHECK, check=False, cwd=self._tree
            )
            said, failed = _tail(done.stderr), bool(done.returncode)
        except subprocess.TimeoutExpired:
            said, failed = f"it takes longer than {_CHECK:g} s", True
        if failed:
            hint = "Nothing was changed, and what runs goes on. Tell the maintainers what stands above."
            raise StoresError(f"The new version fails its self-check: {said}", hint)

    def install(self) -> None:
        """Puts it in place."""
        self._checkout.merge(self._step.new)
        if self._new:
            shutil.rmtree(self._old, ignore_errors=True)
            self._own.rename(self._old)
            self._new.rename(self._own)
            _move_scripts(self._own, str(self._new), str(self._own))
            _move_scripts(self._own, str(self._tree), str(self._checkout.folder))
            (self._own / _STAMP).touch()

    def take_back(self) -> None:
        """Puts the old one in place again, after `install`."""
        self._checkout.git_reset(self._step.old)
        if self._new:
            shutil.rmtree(self._own, ignore_errors=True)
            self._old.rename(self._own)
            (self._own / _STAMP).touch()

    def discard(self) -> None:
        """Leaves nothing beside what is in place."""
        for folder in (self._new, self._old):
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


def _move_scripts(environment: Path, before: str, after: str) -> None:
    """An environment names its own folder in its scripts, and the checkout's in the files that make it importable."""
    files = [
        *(environment / "bin").iterdir(),
        environment / "pyvenv.cfg",
        *environment.glob("lib/python*/site-packages/*.pth"),
    ]
    files += environment.glob("lib/python*/site-packages/*.dist-info/direct_url.json")
    for file in files:
        if file.is_file() and not file.is_symlink():
            content = file.read_bytes()
            moved = re.sub(re.escape(before.encode()) + rb"(?![\w.-])", lambda _: after.encode(), content)
            if moved != content:
                file.write_bytes(moved)


def _ssh() -> str:
    """Asks for nothing: whoever waits would not see the question."""
    return os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")


def _network_hint(folder: Path) -> str:
    return f"Is there a network? See for yourself: git -C {folder} fetch"


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-_LAST_LINES:])


def describe(subjects: Sequence[str], most: int = 10) -> list[str]:
    """The first of them, and how many there are besides."""
    more = [f"… and {len(subjects) - most} more"] if len(subjects) > most else []
    return [*subjects[:most], *more]
