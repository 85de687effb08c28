"""The supervisors that are measured beside one another, each made to run the same commands."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
PATIENCE = 60.0


def until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.002)


@dataclass
class Peer:
    """One supervisor. `run` starts it with services (name to command) in a folder; `restart` is its command for one."""

    name: str
    python: str
    write: Callable[[Path, dict[str, str]], list[str]]
    restart: Callable[[Path, str], list[str]] | None = None
    env: dict[str, str] = field(default_factory=dict)
    to_files: bool = False

    @contextmanager
    def running(self, services: dict[str, str], *, stdout: int = subprocess.DEVNULL) -> Iterator[Running]:
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            folder = Path(name)
            (folder / "run").mkdir(mode=0o700)
            env = {
                **{key: value for key, value in os.environ.items() if not key.startswith(("STORES_", "XDG_"))},
                "HOME": name,
                "XDG_STATE_HOME": f"{name}/state",
                "XDG_RUNTIME_DIR": f"{name}/run",
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                **self.env,
            }
            command = self.write(folder, services)
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            running = Running(self, folder, env, process)
            try:
                yield running
            finally:
                running.end()


@dataclass
class Running:
    """A peer at work."""

    peer: Peer
    folder: Path
    env: dict[str, str]
    process: subprocess.Popen[bytes]

    def begun(self, name: str) -> int:
        """How many instances of a service have begun."""
        path = self.folder / f"{name}.begun"
        return path.stat().st_size if path.exists() else 0

    def supervisors(self) -> list[psutil.Process]:
        """Its own processes: all that run its interpreter and are no service of it (nor our gateway)."""
        family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        own = []
        for process in family:
            with contextlib.suppress(psutil.Error):
                line = process.cmdline()
                if (
                    line
                    and "python" in Path(line[0]).name
                    and "proxy_addons" not in line
                    and "bench-service" not in line
                ):
                    own.append(process)
        return own

    def restart(self, name: str) -> None:
        assert self.peer.restart
        subprocess.run(
            self.peer.restart(self.folder, name), cwd=self.folder, env=self.env, check=True, capture_output=True
        )

    def end(self) -> None:
        marker = self.env["HOME"]
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("HOME") == marker:
                    process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def ours(name: str = "stores") -> Peer:
    stores = [sys.executable, "-P", "-m", "procman.cli"]

    def write(folder: Path, services: dict[str, str]) -> list[str]:
        (folder / "Procfile.d").mkdir()
        for service, command in services.items():
            block = '# /// stores\n# dir = "."\n# ready = { log = "ready" }\n# ///\n'
            (folder / "Procfile.d" / service).write_text(f"{block}web: {command}\n")
        return [*stores, "run"]

    ports = {"STORES_HTTP_PORT": "0", "STORES_HTTPS_PORT": "0", "STORES_DNS_PORT": "0", "STORES_PROXY": "never"}
    env = {**ports, "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    return Peer(name, sys.executable, write, lambda _, service: [*stores, "restart", service], env)


def honcho(python: Path) -> Peer:
    def write(folder: Path, services: dict[str, str]) -> list[str]:
        (folder / "Procfile").write_text("".join(f"{name}: {command}\n" for name, command in services.items()))
        return [str(python), "-m", "honcho", "start"]

    return Peer("honcho", str(python), write, env={"NO_COLOUR": "1", "PYTHONUNBUFFERED": "1"})


def supervisord(python: Path) -> Peer:
    def write(folder: Path, services: dict[str, str]) -> list[str]:
        text = f"""
[supervisord]
nodaemon = true
logfile = /dev/null
logfile_maxbytes = 0
pidfile = {folder}/supervisord.pid
minfds = 1024
[unix_http_server]
file = {folder}/s.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix://{folder}/s.sock
"""
        for name, command in services.items():
            quoted = command.replace("%", "%%")
            text += f"[program:{name}]\ncommand = sh -c {_quoted(quoted)}\nstartsecs = 0\nredirect_stderr = true\n"
            text += f"stdout_logfile = {folder}/{name}.log\nstdout_logfile_maxbytes = 0\nkillasgroup = true\n"
        (folder / "supervisord.conf").write_text(text)
        return [str(python.parent / "supervisord"), "-c", "supervisord.conf"]

    def restart(folder: Path, name: str) -> list[str]:
        return [str(python.parent / "supervisorctl"), "-c", str(folder / "supervisord.conf"), "restart", name]

    return Peer("supervisord", str(python), write, restart, to_files=True)


def _quoted(command: str) -> str:
    return '"' + command.replace("\\", "\\\\").replace('"', '\\"') + '"'


@contextmanager
def peers() -> Iterator[list[Peer]]:
    """Ours, and the others in an environment of their own; without a network, ours alone."""
    with tempfile.TemporaryDirectory(prefix="bench-venv-") as folder:
        python = Path(folder) / "bin/python"
        found = [ours()]
        print("installing honcho and supervisor …", flush=True)
        try:
            venv.create(folder, with_pip=True)
            pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            subprocess.run(
                [*pip, "honcho", "supervisor", "setuptools<81"], check=True, capture_output=True, timeout=120
            )
            found += [honcho(python), supervisord(python)]
        except (OSError, subprocess.SubprocessError, socket.gaierror) as error:
            print(f"the peers cannot be installed here ({type(error).__name__}: no network?): measuring ours alone")
        yield found
