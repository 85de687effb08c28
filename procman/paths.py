"""Where things live, and what the environment says: the only reader of the environment.

Folders follow the XDG base directory specification. Nothing is ever put into ``/tmp``, which other users share.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from procman.errors import StoresError

#: ``sockaddr_un.sun_path`` holds 104 bytes on macOS and the BSDs, 108 on Linux, the final NUL included.
SOCKET_PATH_LIMIT = 103


@dataclass(frozen=True, slots=True)
class Paths:
    """The files of one workspace. `state` survives a reboot, `runtime` does not need to."""

    root: Path
    state: Path
    runtime: Path
    config: Path

    @classmethod
    def of(cls, root: Path, environ: Mapping[str, str]) -> Paths:
        """The folders for the workspace at `root`, named by a short hash of its path (two checkouts never meet)."""
        home = Path(environ.get("HOME") or Path.home())
        key = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:10]
        state = Path(environ.get("STORES_STATE_DIR") or _xdg(environ, "XDG_STATE_HOME", home / ".local/state"))
        return cls(
            root=root.resolve(),
            state=state / "workspaces" / f"{root.resolve().name}-{key}",
            runtime=_runtime(environ, state) / key,
            config=Path(environ.get("STORES_CONFIG_DIR") or _xdg(environ, "XDG_CONFIG_HOME", home / ".config")),
        )

    @property
    def socket(self) -> Path:
        """The supervisor's control socket (mode 0600 in a folder of mode 0700)."""
        return self.runtime / "control.sock"

    @property
    def lock(self) -> Path:
        """Held by the running supervisor; the kernel drops it with the process. Beside the ledger, which it guards."""
        return self.state / "supervisor.lock"

    @property
    def ledger(self) -> Path:
        """What runs: read by the next supervisor."""
        return self.state / "ledger.json"

    @property
    def ports(self) -> Path:
        """The ports that were assigned, kept from run to run."""
        return self.state / "ports.json"

    @property
    def logs(self) -> Path:
        """One file a process, byte for byte what it wrote."""
        return self.state / "logs"

    @property
    def pipes(self) -> Path:
        """The FIFOs through which the processes' output flows."""
        return self.runtime / "pipes"

    @property
    def authorizer(self) -> Path:
        """Who calls, and what trouble is played: written by `stores as`, read by the gateway, in whose folder it is."""
        return self.state / "gateway" / "authorizer.json"

    @property
    def issuer(self) -> Path:
        """The keys of the tokens, in the gateway's folder: `proxy_addons.issuer.key_ring`."""
        return self.state / "gateway" / "issuer"

    @property
    def supervisor_log(self) -> Path:
        """What a supervisor in the background has to say."""
        return self.state / "supervisor.log"

    def ca(self, domain: str) -> Path:
        """The local CA's folder: one per domain and user, so that several workspaces need to be trusted only once."""
        return self.state.parent.parent / "ca" / domain

    def make(self) -> None:
        """Makes the folders, readable by their owner alone. Raises `StoresError` where that cannot be done."""
        if len(os.fsencode(self.socket)) > SOCKET_PATH_LIMIT:
            raise StoresError(
                f"The path of the control socket is too long for the system: {self.socket}",
                "Set a shorter folder of your own: export XDG_RUNTIME_DIR=…",
            )
        for folder in (self.state, self.runtime, self.logs, self.pipes):
            try:
                # each that is missing, not only the last: XDG Base Directory Specification 0.8
                for each in (*(each for each in reversed(folder.parents) if not each.exists()), folder):
                    each.mkdir(mode=0o700, exist_ok=True)
                folder.chmod(0o700)
            except OSError as error:
                raise StoresError(
                    f"Cannot use {folder}: {error.strerror}",
                    "Make it yours, or name another place: export STORES_STATE_DIR=…",
                ) from error


def _xdg(environ: Mapping[str, str], variable: str, default: Path) -> Path:
    """The specification: a relative path in a variable is to be ignored."""
    value = environ.get(variable, "")
    return (Path(value) if Path(value).is_absolute() else default) / "stores"


def _runtime(environ: Mapping[str, str], state: Path) -> Path:
    """XDG_RUNTIME_DIR; on macOS the user's own temporary folder; else beside the state (never /tmp)."""
    if environ.get("STORES_RUNTIME_DIR"):
        return Path(environ["STORES_RUNTIME_DIR"])
    if Path(environ.get("XDG_RUNTIME_DIR", "")).is_absolute():
        return Path(environ["XDG_RUNTIME_DIR"]) / "stores"
    if sys.platform == "darwin" and environ.get("TMPDIR", "").startswith("/var/folders/"):
        return Path(environ["TMPDIR"]) / "stores"
    return state / "run"


def find_workspace(environ: Mapping[str, str], start: Path) -> Path:
    """The workspace's folder: STORES_WORKSPACE, else the folder above `start` that has one, else the registered one."""
    named = environ.get("STORES_WORKSPACE")
    if named:
        return _checked(Path(named).expanduser(), "Name another one: stores -w DIR, or STORES_WORKSPACE=DIR")
    for folder in (start, *start.parents):
        if (folder / "Procfile.d").is_dir():
            return folder
    registered = Paths.of(start, environ).config / "workspace"
    if registered.is_file():
        return _checked(Path(registered.read_text().strip()), "It was registered. Register another one: stores use DIR")
    raise StoresError(
        f"No workspace here: neither {start} nor a folder above it has a Procfile.d/",
        "Go to the workspace, or register it once for every folder: stores use DIR",
        exit_code=2,
    )


def _checked(folder: Path, hint: str) -> Path:
    if not (folder / "Procfile.d").is_dir():
        raise StoresError(f"{folder} is no workspace: there is no Procfile.d/ in it", hint, exit_code=2)
    return folder
