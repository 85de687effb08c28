"""A gateway in its process, and around it what it meets in life: a supervisor's socket, services, a remote, clients.

Nothing here imports the gateway's code but the records of the protocol, so that its tests see it from the outside.
"""

import http.client
import json
import os
import queue
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import trustme
from origin import Origin
from stage import PATIENCE, Stage, eventually, listen, short_folder
from supervisor_side import SupervisorSide

from certs.authority import Authority
from procman.routes import route_of
from procman.snapshot import DnsStatus, GatewayStatus, ProcessStatus, RemoteStatus, ServiceStatus, Snapshot
from procman.state import State

DOMAIN, REMOTE_DOMAIN = "local.example.com", "remote.example.com"


def service(name, *, port=None, state=None, remote="default", hosts=None, wanted=None, **more):
    """A service as the supervisor tells of it: running on `port`, or in `state`."""
    state = state or (State.READY if port else State.STOPPED)
    remote = f"https://{name}.{REMOTE_DOMAIN}" if remote == "default" else remote
    wanted = state is not State.STOPPED if wanted is None else wanted
    route = more.pop("route", route_of(state, wanted=wanted, remote=remote is not None))
    processes = more.pop("processes", (ProcessStatus("web", state, pid=4711 if port else None, port=port),))
    return ServiceStatus(
        name=name,
        state=state,
        route=route,
        wanted=wanted,
        hosts=hosts or (name, f"*.{name}"),
        urls=(),
        processes=processes,
        port=port,
        remote=remote,
        **more,
    )


class World:
    """The whole scene. `services` is what the supervisor tells first; the gateway runs when this has been made."""

    def __init__(
        self, folder, services=(), *, remote_ca=True, arguments=(), connect_to=None, program=("-m", "proxy_addons")
    ):
        self.folder = folder
        self.stack = ExitStack()
        self.stage = Stage()
        self.stack.callback(self.stage.close)
        self.authority = Authority.load_or_create(folder / "ca", DOMAIN)
        self.remote_ca = trustme.CA()
        (folder / "remote-ca.pem").write_bytes(self.remote_ca.cert_pem.bytes())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.remote_ca.issue_cert(f"*.{REMOTE_DOMAIN}", f"*.netshop.{REMOTE_DOMAIN}").configure_cert(context)
        self.remote = self.origin(context=context)
        self.sockets = {"http": listen(), "https": listen()}
        self.http, self.https = (sockets[0].getsockname()[1] for sockets in self.sockets.values())
        rules = (f"::127.0.0.1:{self.remote.port}",) if connect_to is None else connect_to
        self.snapshot = Snapshot(
            workspace="/home/somebody/shop",
            domain=DOMAIN,
            pid=os.getpid(),
            gateway=GatewayStatus(self.http, self.https, str(self.authority.ca_file)),
            dns=DnsStatus(),
            remote=RemoteStatus(REMOTE_DOMAIN, rules, str(folder / "remote-ca.pem") if remote_ca else ""),
            services=tuple(services),
        )
        # A socket's path holds 103 bytes, and pytest's folders are deep.
        self.control = Path(self.stack.enter_context(short_folder())) / "control.sock"
        self.supervisor = SupervisorSide(self.stage, self.control, self.snapshot)
        self.first = self.snapshot
        self.stack.callback(self.supervisor.vanish)
        self.process = None
        self.arguments, self.program = arguments, program
        self.errors = folder / "gateway.err"
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self):
        """Starts the gateway with the sockets that the supervisor holds."""
        sockets = [(scheme, each) for scheme, group in self.sockets.items() for each in group]
        environ = {
            **os.environ,
            "STORES_CONTROL": str(self.control),
            "STORES_GATEWAY_STATE": str(self.folder / "gateway"),
            "STORES_LISTEN": ",".join(f"{scheme}={each.fileno()}" for scheme, each in sockets),
        }
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-P", *self.program, *self.arguments],
                env=environ,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                pass_fds=[each.fileno() for _, each in sockets],
            )
        while True:
            assert self.process.poll() is None, self.stderr()
            with suppress(queue.Empty):
                assert self.supervisor.ready.get(timeout=0.5) == {"ready": True}
                return

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                assert self.process.wait(PATIENCE) == 0, self.stderr()
            finally:
                self.process.kill()
        for group in self.sockets.values():
            for each in group:
                each.close()
        self.stack.close()

    def stderr(self):
        return self.errors.read_text()

    def origin(self, **options):
        origin = Origin(self.stage, **options)
        self.stack.callback(origin.close)
        return origin

    def tell(self, *services, **changes):
        """What runs now. Returns when the gateway goes by it: a marker service tells."""
        marker = service(f"marker-{time.monotonic_ns()}", state=State.STOPPED, remote=None)
        self.snapshot = replace(self.snapshot, services=(*services, marker), **changes)
        self.supervisor.tell(self.snapshot)
        eventually(lambda: self.get(f"{marker.name}.localhost").status == 503)

    def get(self, host, path="/", *, scheme="http", method="GET", headers=(), body=None, port=None):
        """One request on a connection of its own. `host` may have a port; without one the gateway's is added."""
        with self.connection(host.partition(":")[0], scheme, port) as connection:
            own_port = f":{self.https if scheme == 'https' else self.http}"
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", host if ":" in host else host + own_port)
            for name, value in dict(headers).items() if isinstance(headers, dict) else headers:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            return Answer.of(connection.getresponse())

    @contextmanager
    def connection(self, host, scheme="http", port=None):
        """A client that connects here and calls the server `host`."""
        connection = http.client.HTTPConnection(host, timeout=PATIENCE)
        connection.sock = self.socket(scheme, host, port)
        try:
            yield connection
        finally:
            connection.close()

    def socket(self, scheme="http", host="localhost", port=None, alpn=("http/1.1",)):
        plain = socket.create_connection(
            ("127.0.0.1", port or (self.https if scheme == "https" else self.http)), PATIENCE
        )
        if scheme == "http":
            return plain
        return self.client_context(alpn).wrap_socket(plain, server_hostname=host)

    def client_context(self, alpn=("http/1.1",)):
        context = ssl.create_default_context(cafile=str(self.authority.ca_file))
        context.set_alpn_protocols(list(alpn))
        return context

    def raw(self, data, scheme="http", host="localhost"):
        """Sends bytes, and reads until the gateway closes."""
        with self.socket(scheme, host) as client:
            client.sendall(data)
            answer = b""
            while chunk := client.recv(65536):
                answer += chunk
            return answer

    def curl(self, *arguments, check=True):
        done = subprocess.run(
            ["curl", "-sS", "--max-time", str(PATIENCE), "--cacert", str(self.authority.ca_file), *arguments],
            capture_output=True,
            check=False,
            env={"PATH": os.environ["PATH"]},
        )
        assert not check or done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def remote_last_named(self, header):
        """The last request that the remote saw with that header; those before it are forgotten."""
        while not (request := self.remote.last()).all(header):
            pass
        return request

    def resolve(self, host):
        return f"{host}:{self.https}:127.0.0.1"


@dataclass
class Answer:
    status: int
    headers: list
    body: bytes

    @classmethod
    def of(cls, response):
        return cls(response.status, response.getheaders(), response.read())

    @property
    def route(self):
        return self["x-stores-route"]

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    def all(self, name):
        return [value for field, value in self.headers if field.lower() == name.lower()]

    def __getitem__(self, name):
        values = self.all(name)
        assert len(values) == 1, f"{name}: {values} in {self}"
        return values[0]


def one_world(tmp_path_factory):
    """For a file's tests together: `world = pytest.fixture(scope="module")(one_world)`."""
    world = World(tmp_path_factory.mktemp("gateway"))
    try:
        yield world
    finally:
        world.close()
