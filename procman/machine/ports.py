"""Ports: assigned once and kept, free before anything is started, and if not, held by whom."""

from __future__ import annotations

import contextlib
import errno
import json
import shlex
import socket
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from procman import private_file
from procman.errors import StoresError

#: Assigned ports: below every system's ephemeral range (Linux 32768, macOS 49152), above the usual fixed ones.
FIRST, LAST = 20000, 29999

# macOS lets a loopback address be bound beside another's wildcard; Linux does not, and there the wildcard would also
# meet a container's address, which is none of ours.
_PROBED = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
if sys.platform == "darwin":
    _PROBED += [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]  # noqa: S104 (bound for a moment, never listening)


class Ports:
    """The assigned ports of a workspace's processes, in one JSON file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._assigned: dict[str, int] = {}
        with contextlib.suppress(OSError, ValueError):
            self._assigned = {str(name): int(port) for name, port in json.loads(path.read_bytes()).items()}

    def of(self, name: str, taken: Iterable[int]) -> int:
        """The port of process `name`: the one it had, else a free one that no other has. `taken`: fixed ones."""
        known = self._assigned.get(name)
        if known is not None and known not in taken:
            return known
        used = {*taken, *(port for other, port in self._assigned.items() if other != name), *self._of_others()}
        size = LAST - FIRST + 1
        # from the workspace's own place too: two checkouts would otherwise want the same ports, and run one at a time
        begin = zlib.crc32(f"{self._path}:{name}".encode()) % size
        for step in range(size):
            port = FIRST + (begin + step) % size
            if port not in used and is_free(port):
                self._assigned[name] = port
                self._write()
                return port
        raise StoresError(f"No port is free between {FIRST} and {LAST}", f"Set port = … in Procfile.d/{name}")

    def _of_others(self) -> set[int]:
        """What this user's other workspaces were given: two checkouts may run at the same time."""
        found: set[int] = set()
        for path in self._path.parent.parent.glob(f"*/{self._path.name}"):
            if path != self._path:
                with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
                    found.update(map(int, json.loads(path.read_bytes()).values()))
        return found

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # a full disk: the port is the same for this run at least
            private_file.write(self._path, json.dumps(self._assigned, indent=1, sort_keys=True))


def is_free(port: int) -> bool:
    """Whether nobody listens on the port: on loopback, or on all addresses."""
    return all(_can_bind(family, address, port) for family, address in _PROBED)


def _can_bind(family: socket.AddressFamily, address: str, port: int) -> bool:
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT hold nothing
        try:
            probe.bind((address, port))
        except PermissionError:
            return True
        except OSError as error:
            return error.errno != errno.EADDRINUSE  # no IPv6 on this machine is no holder
    return True


def holder(port: int, *, udp: bool = False) -> str:
    """Who listens on the port, for a message: ``PID 4711 (ruby bin/rails server)``, as far as this user may know."""
    import psutil  # noqa: PLC0415 (4 MB that only this needs)

    pid = listeners({port}, udp=udp).get(port)
    if pid is not None:
        with contextlib.suppress(psutil.Error):  # it has gone meanwhile
            return f"PID {pid} ({' '.join(psutil.Process(pid).cmdline())[:100]})"
    return "another user's process"


def workspace_of(port: int, *, udp: bool = False) -> str:
    """The folder of the other workspace whose supervisor listens on the port; empty where it is anybody else."""
    import psutil  # noqa: PLC0415 (as above)

    pid = listeners({port}, udp=udp).get(port)
    if pid is None:  # another user's, and psutil takes None for this very process
        return ""
    with contextlib.suppress(psutil.Error):
        line = psutil.Process(pid).cmdline()
        if "procman" in line and "--workspace" in line:
            return line[line.index("--workspace") + 1]
    return ""


def freeing(port: int, variable: str, key: str, *, udp: bool = False) -> str:
    """What to type where a port is held. Two workspaces that run at the same time need each port twice."""
    other = workspace_of(port, udp=udp)
    if not other:
        return f"Free it, or choose another one: {variable}={port + 1}, or {key} in stores.toml"
    own = "[gateway] http and https, and [dns] port, in its stores.toml"
    return f"Another workspace runs: stores -w {shlex.quote(other)} down. Or give this one ports of its own: {own}"


def listeners(wanted: set[int], *, udp: bool = False) -> dict[int, int]:
    """The PID of who listens on each of the ports, as far as this user may know. It takes 30 ms."""
    import psutil  # noqa: PLC0415 (4 MB that only a port in trouble needs)

    found: dict[int, int] = {}
    for pid, connection in _connections("udp" if udp else "tcp"):
        if (udp or connection.status == psutil.CONN_LISTEN) and connection.laddr and connection.laddr.port in wanted:
            found.setdefault(connection.laddr.port, pid)
    return found


def _connections(kind: str) -> Iterator[tuple[int, Any]]:
    """Every connection whose process this user may know, with that one's PID."""
    import psutil  # noqa: PLC0415 (as above)

    if sys.platform == "darwin":  # it shows a user only his own processes, one by one
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                yield from ((process.pid, connection) for connection in process.net_connections(kind))
    else:  # the kernel's table is one for all: read again for each of 200 processes, it took half a second
        yield from ((connection.pid, connection) for connection in psutil.net_connections(kind) if connection.pid)
