"""Certificates: our CA's health, and whether the programs of this machine trust it as they are."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from certs.folder import CaFolder
from certs.trust import UserTrust
from certs.trust_store import Root
from procman.doctor.finding import SETUP, Finding, broken, not_set_up, note, ok
from procman.doctor.scene import PATIENCE, Scene
from procman.errors import StoresError
from procman.system import needs
from procman.system.change import Put

#: A CA that ends within this time is told, so that its successor can be trusted on a quiet day.
_SOON = timedelta(days=60)

_PYTHON = """
import socket, ssl, sys
host, port = sys.argv[1], int(sys.argv[2])
raw = socket.create_connection(("127.0.0.1", port), timeout=5)
ssl.create_default_context().wrap_socket(raw, server_hostname=host).close()
"""
_NODE = """
const [host, port] = process.argv.slice(1);
const socket = require("tls").connect({host: "127.0.0.1", port, servername: host}, () => process.exit(0));
socket.on("error", error => { console.error(error.message); process.exit(1); });
setTimeout(() => process.exit(1), 5000);
"""


def authority(scene: Scene) -> Iterator[Finding]:
    """Whether there is a CA, and for how long."""
    folder = CaFolder(scene.paths.ca(scene.domain))
    if not folder.exists:
        yield broken("certificate", f"there is no local CA for {scene.domain} yet", "stores up -d")
        return
    try:
        left = _ends(folder) - datetime.now(UTC)
    except (ValueError, OSError) as error:
        yield broken("certificate", f"the local CA cannot be read: {error}", folder.removal)
        return
    if left <= timedelta(0):
        yield broken("certificate", "the local CA has ended", folder.removal)
    elif left < _SOON:
        yield note("certificate", f"the local CA ends in {left.days} days", f"{folder.removal}, then: stores trust")
    else:
        yield ok("certificate", f"the local CA is good for {left.days} days")


def programs(scene: Scene) -> Iterator[Finding]:
    """curl, Python and Node with this shell's environment, against the running gateway."""
    if scene.snapshot is None:
        return
    port = scene.snapshot.gateway.https
    ca = scene.snapshot.gateway.ca_file
    curl = ["curl", "-sS", "-o", os.devnull, "--noproxy", "*", "--resolve", f"{scene.host}:{port}:127.0.0.1"]
    commands = {
        "curl": [*curl, f"https://{scene.host}:{port}/"],
        "python3": ["python3", "-c", _PYTHON, scene.host, str(port)],
        "node": ["node", "-e", _NODE, scene.host, str(port)],
    }
    told = scene.was_told("trust")
    strangers = []
    for program, command in commands.items():
        path = shutil.which(program, path=scene.environ.get("PATH"))
        if path is None:
            continue
        problem = _problem([path, *command[1:]], scene)
        if not problem:
            yield ok("trust", f"{program} trusts {scene.host}")
        elif not told:
            strangers.append(program)
        elif program == "node":
            yield note(
                "trust",
                f"node in this shell does not trust {scene.host}: {problem} (services do: they are given the CA)",
                f"export NODE_EXTRA_CA_CERTS={ca}",
            )
        else:
            yield broken("trust", f"{program} does not trust {scene.host}: {problem}", "stores trust")
    if strangers:
        given = "services do, for they are given the CA"
        yield not_set_up("trust", f"{', '.join(strangers)} in this shell: no trust in {scene.host} ({given})")


def stores(scene: Scene) -> Iterator[Finding]:
    """Browsers' databases, Java's stores, and whether the system trusts this CA or one that is gone."""
    file = CaFolder(scene.paths.ca(scene.domain)).ca_file
    if not file.exists():
        return
    try:
        root = Root.read(scene.domain, file)
        applied = needs.record().get(f"trust {scene.domain}")
        own = UserTrust.of(scene.paths.state.parent.parent / "trust.json", scene.environ)
        missing = own.missing(root)
    except StoresError as error:
        yield note("trust", error.message, error.hint)
        return
    if applied and not any(isinstance(one, Put) and root.name in one.path for one in applied.part.files):
        yield broken("trust", "the system trusts an older local CA, not the one in use", "stores trust")
    for store in missing:
        yield note(
            "trust",
            f"{store.title} does not trust {scene.domain}: {store.place}",
            "stores trust" if scene.was_told("trust") else SETUP,
        )


def _ends(folder: CaFolder) -> datetime:
    """The first of the two that ends."""
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415 (11 MB that only this needs)

    files: tuple[Path, ...] = (folder.ca_file, folder.intermediate_file)
    return min(load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc for file in files)


def _problem(command: list[str], scene: Scene) -> str:
    """What a program says against it; empty where it is content."""
    try:
        done = subprocess.run(
            command,
            env=dict(scene.environ),
            capture_output=True,
            text=True,
            timeout=PATIENCE * 2,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if not done.returncode:
        return ""
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return next((line for line in lines if line.startswith("curl: (")), lines[-1])  # curl's last line is advice
