"""The local CA as the supervisor needs it: made in a child, for cryptography would cost this process 20 MB for ever."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from certs import bundle
from certs.folder import CaFolder
from procman.errors import StoresError
from procman.machine import proc


async def ensure(folder: Path, domain: str, environ: Mapping[str, str]) -> tuple[Path, dict[str, str]]:
    """Makes it where there is none. Returns its certificate's file, and the variables that name it to services.

    Raises `StoresError` where there can be none.
    """
    command: list[str | Path] = [
        sys.executable,
        "-P",
        "-m",
        "certs",
        "--domain",
        domain,
        "--folder",
        folder,
        "--bundle",
        folder,
    ]
    code, out, err = await _child(command)
    if code:
        raise StoresError(f"There is no local CA: {err.strip()}", f"Look at {folder}")
    ca_file, bundle_file = map(Path, out.splitlines()[-2:])
    return ca_file, bundle.environment(CaFolder(folder), bundle_file, environ)


async def _child(command: Sequence[str | Path]) -> tuple[int, str, str]:
    """Runs a short command in a session of its own, which a Ctrl-C on this terminal does not meet."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(  # noqa: ASYNC220 (it is waited for below, without a thread)
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
        )
        ended = asyncio.Event()
        seen = proc.look(process.pid)
        forget = proc.on_exit(asyncio.get_running_loop(), process.pid, seen.start if seen else 0, ended.set)
        try:
            await ended.wait()
        finally:
            forget()
            process.kill()
            process.wait()
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode())
        return process.returncode, said[0], said[1]
