"""Whose command this is: under sudo, the person's who typed it. State that root wrote would be lost to him."""

from __future__ import annotations

import json
import os
import pwd
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from procman.errors import StoresError
from procman.system.change import Part

#: Kept by some sudo configurations although they are root's, or the caller's session's under root's identity.
_SESSION = ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")

#: -I: nothing of the caller's environment or folder; -B: no cache files that are root's beside the code.
_COMMAND = (sys.executable, "-I", "-B", "-m", "procman.system.privileged")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one part: what was done, or why not."""

    part: str
    done: tuple[str, ...] = ()
    error: str = ""


class Invoker:
    """The person, and the way to root: for one request, by sudo unless this process is root already."""

    #: The program that becomes root, and no other.
    helper = _COMMAND

    def __init__(self, user: str, root: subprocess.Popen[str] | None = None) -> None:
        self.user = user
        self._root = root

    @classmethod
    def take_over(cls, environ: MutableMapping[str, str]) -> Invoker:
        """Called first of all. Under sudo, keeps one child that is root, and becomes the person for good."""
        user = _sudo_user(environ)
        if user is None:
            return cls(_name(os.getuid()))
        root = _start(list(_COMMAND))
        os.initgroups(user.pw_name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        for name in (*_SESSION, "SUDO_USER", "SUDO_UID", "SUDO_GID", "SUDO_COMMAND"):
            environ.pop(name, None)
        environ.update({"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name})
        runtime = f"/run/user/{user.pw_uid}"
        if os.access(runtime, os.W_OK):
            environ["XDG_RUNTIME_DIR"] = runtime
        return cls(user.pw_name, root)

    def command(self, *, ask: bool) -> list[str]:
        """What becomes root; empty where no command is needed. Raises `StoresError` where there is no way.

        `ask`: whether a password may be asked for.
        """
        if self._root or os.geteuid() == 0:
            return []
        sudo = shutil.which("sudo")
        if sudo is None:
            raise StoresError(
                "This needs root, and there is no sudo on this machine",
                f"Say it as root, for you: su -c 'SUDO_USER={self.user} {shlex.join(sys.argv)}'",
            )
        return [sudo, "--"] if ask else [sudo, "-n", "--"]

    def request(self, parts: Sequence[Part | str], *, ask: bool) -> Iterator[Result]:
        """Has each part done (or undone, for a name) by root, and yields what became of it.

        Raises `StoresError` where root refuses: a wrong password, no right to sudo.
        """
        child = self._root or _start([*self.command(ask=ask), *_COMMAND])
        assert child.stdin is not None
        assert child.stdout is not None
        values = [part if isinstance(part, str) else part.to_json() for part in parts]
        told = 0
        try:
            child.stdin.write(json.dumps({"user": self.user, "parts": values}) + "\n")
            child.stdin.close()
            for line in child.stdout:
                value: dict[str, Any] = json.loads(line)
                told += 1
                yield Result(value["part"], tuple(value.get("done", ())), value.get("error", ""))
        except BrokenPipeError:
            pass
        finally:
            child.stdout.close()
            code = child.wait()
        if told < len(values):
            raise StoresError(
                f"Root's part did not happen (exit code {code})",
                "Say it again where sudo can ask for your password, or have an administrator do it",
            )

    def refuse(self) -> None:
        """Nothing (more) is to be done: lets root go."""
        if self._root is not None and self._root.poll() is None:
            self._root.communicate()


def _start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _sudo_user(environ: MutableMapping[str, str]) -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    try:
        user = pwd.getpwnam(environ.get("SUDO_USER", ""))
    except (KeyError, ValueError):
        return None
    return user if user.pw_uid else None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a container that runs under a number
        return str(uid)
