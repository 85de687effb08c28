"""Real servers that can keep the event log, each on a port of its own with its state in a test's folder."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from events_world import free_port

#: nats-server's own default lets 1 MiB pass, headers included; events may be as large without them.
_NATS = 'listen: "127.0.0.1:{port}"\nmax_payload: 4MB\njetstream {{ store_dir: "{folder}" }}\n'
_REDIS = ("--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always", "--save", "")
PROGRAMS = {"nats": "nats-server", "redis": "redis-server"}


class EngineServer:
    """One server. `kill` takes it away at once, `start` brings it back with what it had kept."""

    def __init__(self, kind: str, folder: Path) -> None:
        if shutil.which(PROGRAMS[kind]) is None:
            pytest.skip(f"{PROGRAMS[kind]} is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        self.kind = kind
        self.folder = folder
        self.port = free_port()
        self.url = f"{kind}://127.0.0.1:{self.port}"
        self.options: tuple[str, ...] = _REDIS if kind == "redis" else ()
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        if self.kind == "nats":
            config = self.folder / "nats.conf"
            config.write_text(_NATS.format(port=self.port, folder=self.folder) + "\n".join(self.options))
            command = ["nats-server", "-c", str(config)]
        else:
            command = ["redis-server", "--port", str(self.port), "--dir", str(self.folder), *self.options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                assert self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """As a machine that goes away."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
