"""The last link: whether the remote that answers for what does not run here can be reached, and is who it says."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from procman.doctor.finding import Finding, broken, note, ok
from procman.doctor.scene import PATIENCE, Scene
from procman.routes import Route
from procman.settings import Remote


def remotes(scene: Scene) -> Iterator[Finding]:
    """Each origin once, all at the same time: name, connection, certificate. No request is sent."""
    if scene.snapshot is None:
        return
    asked = {one.remote: one.name for one in scene.snapshot.services if one.remote and one.route is Route.REMOTE}
    origins = sorted(asked)
    remote = scene.workspace.settings.remote
    with ThreadPoolExecutor(max_workers=8) as pool:
        problems = list(pool.map(lambda origin: problem(origin, remote), origins))
    if origins and all(problems):
        yield broken(
            "remote",
            f"none of the {len(origins)} remotes can be reached; {origins[0]}: {problems[0]}",
            "Is the VPN up?",
        )
        return
    for origin, why in zip(origins, problems, strict=True):
        if why:
            yield note(
                "remote", f"{asked[origin]} leads to {origin}, and that fails: {why}", f"stores start {asked[origin]}"
            )
        else:
            yield ok("remote", f"{origin} answers")


def problem(origin: str, remote: Remote) -> str:
    """Why no TLS (or, for http, no connection) comes about; empty where it does."""
    parts = urlsplit(origin)
    host = parts.hostname or ""
    port = parts.port or (80 if parts.scheme == "http" else 443)
    rules = (rule.target(host, port) for rule in remote.connect_to)
    address = next((found for found in rules if found), (host, port))
    try:
        with socket.create_connection(address, timeout=PATIENCE) as raw:
            if parts.scheme == "https":
                context = ssl.create_default_context()
                if remote.ca:
                    context.load_verify_locations(remote.ca)
                context.wrap_socket(raw, server_hostname=host).close()
    except OSError as error:
        return getattr(error, "verify_message", "") or error.strerror or str(error)
    return ""
