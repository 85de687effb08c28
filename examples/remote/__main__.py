"""A sample remote environment, on this machine: `python examples/remote [--port 9443] [-- COMMAND ...]`.

Stands for the shared development environment of a company: it runs account, organization, reserve and an event broker
with data of its own, below another domain, behind TLS with a CA of its own. It is no part of the workspace.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `common` and the services are

from remote.certificates import certificates
from remote.command import Run
from remote.environment import DOMAIN, RemoteServer, create_apps, urls
from remote.events import Events

PORT = 9443


def main() -> int:
    words, command = _split(sys.argv[1:])
    parser = argparse.ArgumentParser(prog="python examples/remote", usage="%(prog)s [--port PORT] [-- COMMAND ...]")
    parser.add_argument("--port", type=int, help=f"default: {PORT}, or a free one when that is taken")
    parser.add_argument("--grace", type=float, default=10, help="seconds from SIGTERM to SIGKILL for COMMAND")
    options = parser.parse_args(words)

    run = Run(command, options.grace)  # first of all: no signal shall find it unprepared
    data_dir = Path(os.environ.get("DATA_DIR", Path(__file__).parent / "var")).resolve()
    data_dir.mkdir(parents=True, exist_ok=True)
    apps = create_apps(data_dir)
    files = certificates(data_dir, DOMAIN)
    log = data_dir / "requests.log" if command else None  # the terminal is the command's
    broker = Events(data_dir / "events.sqlite3", DOMAIN)
    try:
        server = _listen(options.port, lambda port: RemoteServer(port, apps, files, log, broker))
    except OSError as error:
        why = f"Port {options.port} on 127.0.0.1: {error.strerror}"
        print(f"{why}. Without --port a free one is taken.", file=sys.stderr)
        return 1
    server.start()
    _say(server.port, files.ca, apps, alone=not command)
    variables = {"STORES_REMOTE_CONNECT_TO": f"::127.0.0.1:{server.port}", "STORES_REMOTE_CA": str(files.ca)}
    try:
        return run.until_end(variables)
    finally:
        server.stop(server.close_apps)


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """What is ours, and the command behind the first ``--``."""
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def _listen(port: int | None, listen: Callable[[int], RemoteServer]) -> RemoteServer:
    if port is not None:
        return listen(port)
    try:
        return listen(PORT)
    except OSError:
        server = listen(0)
        print(f"Port {PORT} is taken: the remote environment uses {server.port}.", flush=True)
        return server


def _say(port: int, ca: Path, names: Iterable[str], *, alone: bool) -> None:
    print(f"Remote environment on 127.0.0.1:{port}: {' '.join(urls(names))}", flush=True)
    if alone:
        example = f"curl --cacert {ca} --connect-to ::127.0.0.1:{port} {urls(['account'])[0]}/api/me"
        print(f"For example:  {example}\nCtrl-C ends it.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
