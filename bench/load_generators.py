"""wrk and h2load: what they are told to do, and what their output says of it."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.gateway_peers import HOSTS, Peer

SECONDS = float(os.environ.get("BENCH_SECONDS", "2"))

#: How each of them tells of requests a second.
WRK_RATE, H2LOAD_RATE = r"Requests/sec:\s+([\d.]+)", r"finished in [^,]+, ([\d.]+) req/s"

#: Every request is for the next of the fifty hosts.
_HOSTS_LUA = """
local requests, at = {}, 0
local hosts = {%s}
function init()
  for i, host in ipairs(hosts) do
    wrk.headers["Host"] = host
    %s
    requests[i] = wrk.format("GET", wrk.path)
  end
end
function request()
  at = at %% #requests + 1
  return requests[at]
end
"""


@dataclass(frozen=True, slots=True)
class Result:
    """Requests a second; latency in milliseconds, where it is measured; microseconds of CPU for a request."""

    rate: float
    cpu: float = 0.0
    p50: float | None = None
    p99: float | None = None
    #: How many requests that were, where it is known better than by rate and time.
    answered: int = 0


def figure(out: str, pattern: str) -> float:
    """The number that the pattern's group stands for. Raises ``ValueError`` where there is none, as after a failure."""
    return float(_find(out, pattern)[1])


def _find(out: str, pattern: str) -> re.Match[str]:
    found = re.search(pattern, out)
    if found is None:
        raise ValueError(f"there is no {pattern!r} in {out!r}")
    return found


#: Keeps wrk to TLS 1.2, in which it resumes its sessions; in TLS 1.3 it does not (it clears them before the ticket).
_TLS12 = """
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = default
[default]
MaxProtocol = TLSv1.2
"""


def wrk(
    size: str, connections: int, *, tls: bool = False, close: bool = False, resume: bool = False
) -> Callable[[Peer], Result]:
    def run(peer: Peer) -> Result:
        url = f"https://localhost:{peer.https}/{size}" if tls else f"http://127.0.0.1:{peer.http}/{size}"
        hosts = ", ".join(f'"{host}"' for host in HOSTS)
        with tempfile.TemporaryDirectory() as folder:
            script, tls12 = Path(folder) / "hosts.lua", Path(folder) / "openssl.cnf"
            script.write_text(_HOSTS_LUA % (hosts, 'wrk.headers["Connection"] = "close"' if close else ""))
            tls12.write_text(_TLS12)
            command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS:g}s", "--latency", "-s", str(script), url]
            environ = {**os.environ, "OPENSSL_CONF": str(tls12)} if resume else None
            out = subprocess.run(command, capture_output=True, text=True, check=True, env=environ).stdout
        if bad := re.search(r"Non-2xx.*|Socket errors: .*[1-9].*", out):
            print(f"  {peer.name}: {bad[0]}")
        return Result(figure(out, WRK_RATE), 0.0, _milliseconds(out, "50%"), _milliseconds(out, "99%"))

    return run


def _milliseconds(out: str, label: str) -> float:
    said = _find(out, rf"{label}\s+([\d.]+)(us|ms|s)")
    return float(said[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[said[2]]


def h2load(size: str, connections: int, streams: int) -> Callable[[Peer], Result]:
    def run(peer: Peer) -> Result:
        url = f"https://{HOSTS[7]}:{peer.https}/{size}"
        command = ["h2load", "-c", str(connections), "-m", str(streams), "-t1", "-D", f"{SECONDS:g}"]
        command += ["--warm-up-time=0", f"--connect-to=127.0.0.1:{peer.https}", url]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if bad := re.search(r"[1-9]\d* (?:failed|errored|timeout)|[1-9]\d* [345]xx", out):
            print(f"  {peer.name}: {bad[0]}")
        return Result(figure(out, H2LOAD_RATE))

    return run


def handshakes(connections: int) -> Callable[[Peer], Result]:
    """New clients, `connections` at a time, with a request each. h2load knows no sessions: each is a full handshake."""

    def run(peer: Peer) -> Result:
        url = f"https://{HOSTS[7]}:{peer.https}/1k"
        command = ["h2load", "--h1", "-c", str(connections), "-n", str(connections), "-t1"]
        command += [f"--connect-to=127.0.0.1:{peer.https}", url]
        answered, seconds = 0, 0.0
        while seconds < SECONDS:
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            answered += int(figure(out, r"(\d+) 2xx"))
            seconds += _milliseconds(out, "finished in") / 1000
        return Result(answered / seconds, answered=answered)

    return run
