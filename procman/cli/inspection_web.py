"""`stores inspect --web`: what was recorded, in mitmproxy's own web page."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from procman.clients.dashboard import DashboardClient
from procman.errors import StoresError

#: Before that release mitmweb asked nobody for anything (its change log, 11.1.2).
_FIRST_WITH_TOKEN: Final = (11, 1, 2)


def show(dashboard: DashboardClient, expression: str, *, secrets: bool) -> None:
    """Opens a copy of the recording in mitmweb, until that ends. Raises `StoresError`; exits as mitmweb does.

    The copy lies in a folder of its owner alone, and is gone afterwards. mitmweb listens on loopback, proxies nothing,
    and wants the token of the URL that it prints.
    """
    _check_version()
    query = {
        "format": "mitm",
        **({"filter": expression} if expression else {}),
        **({"secrets": "true"} if secrets else {}),
    }
    flows = dashboard.file("/inspection/export", query)
    if not flows:
        raise StoresError("Nothing was recorded that could be shown", "Record it first: stores inspect NAME")
    program = Path(sys.executable).with_name("mitmweb")
    if not program.exists():
        raise StoresError(f"mitmweb is not where mitmproxy should have put it, {program}", "Install stores anew")
    with tempfile.TemporaryDirectory(prefix="stores-inspect-") as folder:
        file = Path(folder) / "recorded.mitm"
        file.write_bytes(flows)
        options = ("--no-server", "--rfile", str(file), "--web-port", str(_free_port()), "--set", f"confdir={folder}")
        process = subprocess.Popen([str(program), *options])
        for number in (signal.SIGINT, signal.SIGTERM):  # the terminal sends Ctrl-C to both; it is mitmweb's to end
            signal.signal(number, lambda given, _: process.send_signal(given) if given == signal.SIGTERM else None)
        code = process.wait()
    if code:
        raise SystemExit(code)


def _check_version() -> None:
    from importlib.metadata import version  # noqa: PLC0415 (12 ms)

    found = version("mitmproxy")
    if tuple(map(int, found.split(".")[:3])) < _FIRST_WITH_TOKEN:
        raise StoresError(
            f"The page of mitmproxy {found} lets in every user of this machine",
            "That of 11.1.2 and newer, for Python 3.12 and newer, wants a token. Look here instead: stores open",
        )


def _free_port() -> int:
    """A port that is free at this moment: mitmweb cannot say which one it took by itself."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
