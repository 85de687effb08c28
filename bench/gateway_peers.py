"""The proxies that are measured side by side, before one origin: nginx and Caddy from Debian, and our gateway."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from certs.authority import Authority
from procman.api_route import ApiRoute
from procman.resident.gateway_process import ALLOCATOR
from procman.routes import Route
from procman.snapshot import DnsStatus, GatewayStatus, RemoteStatus, ServiceStatus, Snapshot
from procman.state import State

DOMAIN = "local.example.com"
HOSTS = [f"s{number}.{DOMAIN}" for number in range(50)]
SIZES = {"1k": 1024, "64k": 65536, "10m": 10 << 20}
_PATIENCE = 20


@dataclass(frozen=True, slots=True)
class Peer:
    """A proxy that runs. `pids`: its processes, for their memory."""

    name: str
    http: int
    https: int
    pids: tuple[int, ...]
    #: Seconds from its start to its first answer.
    started: float

    @property
    def pss(self) -> float:
        """MB of memory, what is shared counted in parts."""
        total = 0
        for pid in self.pids:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        return total / 1024

    @property
    def cpu(self) -> float:
        """Seconds of CPU so far."""
        stats = (Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split() for pid in self.pids)
        return sum(int(stat[11]) + int(stat[12]) for stat in stats) / os.sysconf("SC_CLK_TCK")


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextlib.contextmanager
def running(command: list[str], folder: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "output").open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(_PATIENCE)


def first_answer(port: int, process: subprocess.Popen[bytes], began: float) -> float:
    """Waits for it; seconds since `began`."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/1k", headers={"Host": HOSTS[0]})
    while time.monotonic() - began < _PATIENCE:
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended with {process.returncode}")
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
            answer.read()
            return time.monotonic() - began
        time.sleep(0.005)
    raise SystemExit(f"{process.args!r} does not answer")


@contextlib.contextmanager
def origin(folder: Path) -> Iterator[int]:
    """Files of three sizes, from an nginx with one worker."""
    folder.mkdir()
    (port,) = free_ports(1)
    for name, size in SIZES.items():
        (folder / name).write_bytes(b"x" * size)
    text = f"server {{ listen 127.0.0.1:{port} backlog=1024; root {folder}; }}"
    with nginx_serving(folder, text) as process:
        first_answer(port, process, time.monotonic())
        yield port


@contextlib.contextmanager
def nginx(folder: Path, port: int, authority: Authority) -> Iterator[Peer]:
    folder.mkdir()
    http, https = free_ports(2)
    pem = authority.leaf(HOSTS[0]).cert_file
    proxy = """
        proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;"""
    servers = "\n".join(
        f"""server {{ listen 127.0.0.1:{http};
        listen 127.0.0.1:{https} ssl http2; server_name {host};
        ssl_certificate {pem}; ssl_certificate_key {pem}; location / {{ {proxy} }} }}"""
        for host in HOSTS
    )
    upstream = f"upstream up {{ server 127.0.0.1:{port}; keepalive 128; keepalive_requests 1000000; }}\n"
    began = time.monotonic()
    with nginx_serving(folder, upstream + servers) as process:
        started = first_answer(http, process, began)
        yield Peer("nginx", http, https, _family(process.pid), started)


@contextlib.contextmanager
def nginx_serving(folder: Path, text: str) -> Iterator[subprocess.Popen[bytes]]:
    """An nginx with one worker. `text`: its servers."""
    # as root, its worker is another user, who must be let in
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"""daemon off; {user} pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
        events {{ worker_connections 4096; }}
        http {{ access_log off; ssl_protocols TLSv1.2 TLSv1.3;
        sendfile on; keepalive_requests 100000000; server_names_hash_bucket_size 128;
        client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder};
        scgi_temp_path {folder};
        {text} }}"""
    )
    with running(["nginx", "-c", f"{folder}/nginx.conf"], folder) as process:
        yield process


@contextlib.contextmanager
def caddy(folder: Path, port: int, authority: Authority) -> Iterator[Peer]:
    folder.mkdir()
    http, https = free_ports(2)
    pem = authority.leaf(HOSTS[0]).cert_file
    sites = "\n".join(
        f"http://{host}:{http} {{\n reverse_proxy 127.0.0.1:{port}\n}}\n"
        f"https://{host}:{https} {{\n tls {pem} {pem}\n reverse_proxy 127.0.0.1:{port}\n}}"
        for host in HOSTS
    )
    # wrk asks for a name that the system resolves, whatever Host it sends then
    local = authority.leaf("localhost").cert_file
    sites += f"\nhttps://localhost:{https} {{\n tls {local} {local}\n respond 404\n}}\n"
    settings = "{\n admin off\n auto_https off\n default_bind 127.0.0.1\n}\n"
    (folder / "Caddyfile").write_text(settings + sites + "\n")
    environ = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    began = time.monotonic()
    with running(["caddy", "run", "--config", f"{folder}/Caddyfile"], folder, env=environ) as process:
        started = first_answer(http, process, began)
        yield Peer("Caddy", http, https, (process.pid,), started)


@contextlib.contextmanager
def gateway(folder: Path, port: int, authority: Authority, **told: Any) -> Iterator[Peer]:
    """Ours, with its sockets inherited and a supervisor that tells it fifty services once, or what is `told`."""
    folder.mkdir()
    sockets = [socket.create_server(("127.0.0.1", 0), backlog=1024) for _ in range(2)]
    http, https = (each.getsockname()[1] for each in sockets)
    snapshot = Snapshot(
        workspace=str(folder),
        domain=DOMAIN,
        pid=os.getpid(),
        gateway=GatewayStatus(http, https, str(authority.ca_file)),
        dns=DnsStatus(),
        remote=RemoteStatus(),
        services=tuple(service(host.partition(".")[0], port) for host in HOSTS),
    )
    snapshot = dataclasses.replace(snapshot, **told)
    environ = {
        **os.environ,
        **ALLOCATOR,
        "STORES_CONTROL": f"{folder}/control",
        "STORES_GATEWAY_STATE": f"{folder}/state",
        "STORES_LISTEN": ",".join(
            f"{scheme}={each.fileno()}" for scheme, each in zip(("http", "https"), sockets, strict=True)
        ),
    }
    command = [sys.executable, "-P", "-O", "-m", "proxy_addons"]
    with _supervisor(folder / "control", snapshot):
        began = time.monotonic()
        with running(command, folder, env=environ, pass_fds=[each.fileno() for each in sockets]) as process:
            started = first_answer(http, process, began)
            yield Peer("stores", http, https, (process.pid,), started)
    for each in sockets:
        each.close()


def service(name: str, port: int, api: ApiRoute | None = None) -> ServiceStatus:
    """One that runs on `port`."""
    return ServiceStatus(
        name, State.READY, Route.LOCAL, wanted=True, hosts=(name,), urls=(), processes=(), port=port, api=api
    )


@contextlib.contextmanager
def _supervisor(path: Path, snapshot: Snapshot) -> Iterator[None]:
    loop = asyncio.new_event_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if json.loads(await reader.readline())["verb"] == "watch":
            writer.write(json.dumps({"snapshot": snapshot.to_json()}).encode() + b"\n")
            await reader.read()
        writer.close()

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(asyncio.start_unix_server(serve, path), loop).result(_PATIENCE)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_PATIENCE)


def _family(pid: int) -> tuple[int, ...]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return (pid, *map(int, children))
